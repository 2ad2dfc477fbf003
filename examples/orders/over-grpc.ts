import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Verifier } from '@countersign/verifier';
import { principalOf, serverInterceptor } from '@countersign/verifier/grpc-js';
import { type handleServerStreamingCall, type handleUnaryCall, Server } from '@grpc/grpc-js';
import { OrdersService, type PlaceOrderRequest } from './gen/orders/v1/orders_service_pb.ts';
import type { Order, Orders } from './orders.ts';

/** Serves orders by gRPC. */
export function grpcServer(verifier: Verifier, orders: Orders): Server {
  const interceptors = [serverInterceptor(verifier, { services: [OrdersService] })];
  const server = new Server({ interceptors });
  const unary =
    <I>(answer: (request: I, caller: string) => object): handleUnaryCall<I, object> =>
    // The interceptor lets nobody without a principal reach a method that asks for the caller.
    (call, done) =>
      done(null, answer(call.request, principalOf(call)?.subject ?? ''));
  const watchOrders: handleServerStreamingCall<object, object> = (call) => {
    const send = (order: Order) => call.write({ order });
    orders.placed.on('order', send);
    call.on('cancelled', () => orders.placed.off('order', send));
  };
  server.addService(definition, {
    listProducts: unary(() => ({ products: orders.products })),
    listMyOrders: unary((_, caller) => ({ orders: orders.listOf(caller) })),
    listOrders: unary(() => ({ orders: orders.list() })),
    placeOrder: unary(({ product }: PlaceOrderRequest, caller) => ({
      order: orders.place(caller, product),
    })),
    deleteOrders: unary(() => {
      orders.deleteAll();
      return {};
    }),
    watchOrders,
  });
  return server;
}

/** The service as grpc-js takes it. */
const definition = Object.fromEntries(
  OrdersService.methods.map(({ parent, name, localName, methodKind, input, output }) => [
    localName,
    {
      path: `/${parent.typeName}/${name}`,
      requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
      responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
      requestSerialize: (message: object) =>
        Buffer.from(toBinary(input, create(input, { ...message }))),
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      responseSerialize: (message: object) =>
        Buffer.from(toBinary(output, create(output, { ...message }))),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
    },
  ]),
);

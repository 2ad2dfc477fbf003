import { on } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { ConnectRouter, HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { Verifier } from '@countersign/verifier';
import { principalOf, serverInterceptor } from '@countersign/verifier/connect';
import { OrdersService } from './gen/orders/v1/orders_service_pb.ts';
import type { Order, Orders } from './orders.ts';

/** Serves orders by Connect, gRPC-Web and, over HTTP/2, gRPC. */
export function connectServer(verifier: Verifier, orders: Orders): Server {
  const routes = ({ service }: ConnectRouter) =>
    service(OrdersService, {
      listProducts: () => ({ products: orders.products }),
      listMyOrders: (_, context) => ({ orders: orders.listOf(callerOf(context)) }),
      listOrders: () => ({ orders: orders.list() }),
      placeOrder: ({ product }, context) => ({ order: orders.place(callerOf(context), product) }),
      deleteOrders() {
        orders.deleteAll();
        return {};
      },
      async *watchOrders(_, { signal }) {
        const placed = on(orders.placed, 'order', { signal });
        for await (const [order] of placed) yield { order: order as Order };
      },
    });
  const interceptors = [serverInterceptor(verifier, { services: [OrdersService] })];
  return createServer(connectNodeAdapter({ routes, interceptors }));
}

/** The id of who calls: the interceptor lets nobody else reach a method that asks for it. */
function callerOf({ values }: HandlerContext): string {
  return principalOf({ values })?.subject ?? '';
}

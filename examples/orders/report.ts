import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { createTokenSource } from '@countersign/verifier';
import { clientInterceptor } from '@countersign/verifier/connect';
import { OrdersService } from './gen/orders/v1/orders_service_pb.ts';

/** A program that calls orders with an API key, which orders never sees: it is exchanged for tokens. */
const {
  COUNTERSIGN_URL = 'http://127.0.0.1:8080',
  COUNTERSIGN_AUDIENCE: audience = COUNTERSIGN_URL,
  ORDERS_URL = 'http://127.0.0.1:8081',
  REPORT_KEY: apiKey = '',
} = process.env;

const scopes = ['orders.read'];
const tokens = createTokenSource({ baseUrl: COUNTERSIGN_URL, apiKey, audience, scopes });
const interceptors = [clientInterceptor(tokens)];
const transport = createConnectTransport({ baseUrl: ORDERS_URL, httpVersion: '1.1', interceptors });
const { orders } = await createClient(OrdersService, transport).listOrders({});
for (const { number, product } of orders) process.stdout.write(`${number} ${product}\n`);

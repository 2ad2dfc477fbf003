/** The headers of a client's request as a proxy passes them on, without its credential. */
export const PROXIED_HEADERS: Readonly<Record<string, string>> = {
  accept: 'application/json, text/plain, */*',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'en-GB,en;q=0.9,fr;q=0.7',
  cookie: 'theme=dark; region=eu-west-1; cart=4f7d2c9a81b3',
  origin: 'https://shop.example',
  referer: 'https://shop.example/account/orders?page=2',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'x-forwarded-for': '203.0.113.24',
  'x-forwarded-proto': 'https',
};

/** The scope that the route of that request asks for. */
export const REQUIRED_SCOPE = 'users.read';

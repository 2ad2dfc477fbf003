import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import { unzip, type Zip } from '../unzip.ts';

type Compression = typeof compressionGzip;

/** What Connect's handlers decompress requests with. */
export const COMPRESSIONS = [
  unzipping(compressionGzip, 'gzip'),
  unzipping(compressionBrotli, 'br'),
];

function unzipping(compression: Compression, zip: Zip): Compression {
  return {
    ...compression,
    decompress: async (bytes, maxBytes) =>
      bytes.length === 0 ? new Uint8Array() : unzip(zip, bytes, maxBytes),
  };
}

import { Keyring } from '../../src/platform/crypto.ts';

/** The master key of the services that are measured, version 1. */
export const MASTER_KEY = Buffer.alloc(32, 7);

/** Returns the keyring of the services that are measured. */
export function benchKeyring(): Keyring {
  return new Keyring(new Map([[1, MASTER_KEY]]));
}

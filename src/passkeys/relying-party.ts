import { ownOrigins } from '../platform/own-origins.ts';

/** The service that passkeys are bound to, and where they may be used (WebAuthn section 4). */
export type RelyingParty = {
  /** The domain that authenticators bind passkeys to. */
  id: string;
  /** The name that authenticators show. */
  name: string;
  /** The origins that clients may name, spelled as clients spell them. */
  origins: readonly string[];
};

type Settings = {
  passkeys: { rpId: string | undefined; origins: readonly string[] | undefined };
  corsOrigins: readonly string[];
};

/**
 * Returns the relying party of a configuration. Browsers refuse passkeys for IP addresses, so a service
 * at a loopback address is named `localhost`, where it can be reached as well.
 */
export function relyingParty({ passkeys, corsOrigins }: Settings, publicUrl: string): RelyingParty {
  const { hostname, origin } = new URL(ownOrigins(publicUrl).at(-1) as string);
  const id = passkeys.rpId ?? hostname;
  return { id, name: id, origins: passkeys.origins ?? [origin, ...corsOrigins] };
}

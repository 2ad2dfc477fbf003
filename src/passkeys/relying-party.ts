const LOOPBACK = new Set(['127.0.0.1', '[::1]']);

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
  const url = new URL(publicUrl);
  if (LOOPBACK.has(url.hostname)) url.hostname = 'localhost';
  const id = passkeys.rpId ?? url.hostname;
  return { id, name: id, origins: passkeys.origins ?? [url.origin, ...corsOrigins] };
}

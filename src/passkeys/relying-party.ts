const LOOPBACK = new Set(['127.0.0.1', '[::1]']);

/** To whom passkeys belong and where they may be used. WebAuthn section 4, "Relying Party". */
export type RelyingParty = {
  /** The domain that authenticators bind passkeys to. */
  id: string;
  /** What authenticators show. */
  name: string;
  /** The origins that clients may name, each as they spell it. */
  origins: readonly string[];
};

type Settings = {
  passkeys: { rpId: string | undefined; origins: readonly string[] | undefined };
  corsOrigins: readonly string[];
};

/**
 * The relying party of a configuration. Browsers have no passkeys for addresses, so that a service at
 * a loopback address goes by `localhost`, where it can be reached as well.
 */
export function relyingParty({ passkeys, corsOrigins }: Settings, publicUrl: string): RelyingParty {
  const url = new URL(publicUrl);
  if (LOOPBACK.has(url.hostname)) url.hostname = 'localhost';
  const id = passkeys.rpId ?? url.hostname;
  return { id, name: id, origins: passkeys.origins ?? [url.origin, ...corsOrigins] };
}

/** What is wrong with the chain, and the first position where it is wrong; 0 if no position is. */
export type ChainFlaw = {
  kind: 'event_changed' | 'event_missing' | 'event_inserted' | 'head_forged' | 'known_head_missing';
  position: number;
};

/** Thrown at the first flaw of the chain. */
export class FlawFound extends Error {
  readonly flaw: ChainFlaw;

  constructor(flaw: ChainFlaw) {
    super(`the chain of audit events is broken at position ${flaw.position}: ${flaw.kind}`);
    this.name = 'FlawFound';
    this.flaw = flaw;
  }
}

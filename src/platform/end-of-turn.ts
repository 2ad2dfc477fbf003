/** Work that is done at the end of a turn of the event loop. What fails in it ends the program. */
export class EndOfTurn {
  #work: (() => void)[] = [];

  do(work: () => void): void {
    if (this.#work.length === 0) setImmediate(() => this.#end());
    this.#work.push(work);
  }

  #end(): void {
    const all = this.#work;
    this.#work = [];
    for (const work of all) work();
  }
}

/** What is wrong with a statement of `on_settled`, as the rest of a sentence that begins with the option. */

export class StatementFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StatementFault';
  }
}

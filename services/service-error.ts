/** What stops a server from being had, with the ways out; thrown by everything under services/. */

/** `message` says what failed, `cure` what a person does about it; both are in the printed text. */
export class ServiceError extends Error {
  readonly cure: string;

  constructor(message: string, cure: string, cause?: unknown) {
    super(`${message}\n${cure}`, cause === undefined ? undefined : { cause });
    this.name = 'ServiceError';
    this.cure = cure;
  }
}

/** What the tables of errors say of each. */

export interface ErrorRow {
  readonly retriable: boolean;
  readonly exit: 1 | 2 | 3;
  readonly cure: string;
  /** Status of the admin API's answer; 500 where there is none. */
  readonly http?: number;
}

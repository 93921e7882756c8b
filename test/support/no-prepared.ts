/** A source of prepared transactions for sources that have none. */
import type { PreparedSource } from '../../src/capture/xa/prepared-source.ts';

export const noPrepared: PreparedSource = {
  open: () => Promise.reject(new Error('The source has no XA transactions')),
  find: () => Promise.reject(new Error('The source has no XA transactions')),
};

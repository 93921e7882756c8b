import { describe, expect, it } from 'vitest';
import { compareMariadb } from '../../../src/capture/preflight/mariadb/compare-mariadb.ts';
import { formatLacked, lackedBy } from '../../../src/capture/preflight/mariadb/lacked.ts';
import { MariadbPosition, parseMariadbGtid } from '../../../src/mariadb-gtid.ts';
import type { MariadbGtid } from '../../../src/mariadb-gtid.ts';

const state = (text: string): MariadbGtid[] =>
  text === '' ? [] : text.split(',').map(parseMariadbGtid);

describe('what a MariaDB server lacks', () => {
  it.each([
    ['0-1-12', '0-1-10', '0-1-12 (behind 0-1-10)'],
    ['0-1-12,0-3-5', '0-1-12', '0-3-5 and all before it'],
    ['0-1-12,1-1-3', '0-1-12,1-1-4', ''],
    ['0-1-12', '0-1-12,0-2-14', ''],
    ['', '0-1-1', ''],
  ])('of %s where another has %s', (one, other, lacked) => {
    expect(formatLacked(lackedBy(state(one), state(other)))).toBe(lacked);
  });

  const server = (
    serverId: number,
    last: string,
    follows: readonly number[] | null,
  ): Parameters<typeof compareMariadb>[0][number] => ({
    ...{ name: `server ${serverId}`, serverId, follows },
    state: { uuid: '', last: state(last), purged: new MariadbPosition(), files: [] },
  });

  const found = (...servers: Parameters<typeof compareMariadb>[0]): string[] =>
    compareMariadb(servers).map(({ check, value }) => `${check}: ${value}`);

  it('is no finding where replication will bring it', () => {
    expect(found(server(1, '0-1-9', []), server(2, '0-1-7', [1]))).toEqual([]);
    expect(found(server(1, '0-1-9', []), server(2, '0-1-7', null))).toEqual([]);
  });

  it('is one where nothing will', () => {
    expect(found(server(1, '0-1-9', []), server(2, '0-1-9,0-2-10', [1]))).toEqual([
      'transactions of server 1: without 0-2-10 and all before it, which server 2 has',
    ]);
    expect(found(server(1, '0-1-9,0-3-1', []), server(2, '0-1-7', [4]))).toEqual([
      'transactions of server 2: without 0-1-9 (behind 0-1-7), which server 1 has',
    ]);
    expect(found(server(1, '0-1-9', []), server(1, '0-1-9', []))).toEqual([
      'source.urls: server 1 and server 1 with one server_id, 1',
    ]);
  });
});

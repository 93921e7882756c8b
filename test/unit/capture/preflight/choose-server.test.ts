import { describe, expect, it } from 'vitest';
import { chooseServer } from '../../../../src/capture/preflight/choose-server.ts';
import { compareServers } from '../../../../src/capture/preflight/compare-servers.ts';
import { ServerLacksError } from '../../../../src/capture/preflight/prove-sets.ts';
import type { ServerPlace, Upstream } from '../../../../src/capture/preflight/server-place.ts';
import { type ErrorCode, RowcallError } from '../../../../src/errors.ts';
import { GtidSet } from '../../../../src/gtid-set.ts';

const A = '00000000-0000-0000-0000-00000000000a';
const B = '00000000-0000-0000-0000-00000000000b';
const C = '00000000-0000-0000-0000-00000000000c';

function placeOf(uuid: string, executed: string): ServerPlace {
  const gtids = { executed: GtidSet.parse(executed), purged: new GtidSet() };
  return { uuid, gtidMode: 'ON', gtids, files: [{ name: 'binlog.000001', bytes: 1000 }] };
}

const sources = (...uuids: readonly string[]): Upstream => ({ uuids, group: false });

function lacks(uuid: string, upstream: Upstream): ServerLacksError {
  const server = placeOf(uuid, `${A}:1-5`);
  return new ServerLacksError(GtidSet.parse(`${A}:1-7`), { server, upstream, checkpoint: null });
}

const failure = (code: ErrorCode): RowcallError => new RowcallError(code, `failed with ${code}`);

/** Tries servers that fail so; a text is one that can be read. */
function choose(
  ...outcomes: readonly (RowcallError | string)[]
): ReturnType<typeof chooseServer<string>> {
  const servers = outcomes.map((_, index) => ({ name: `db${index}`, connection: {} }));
  return chooseServer(servers, ({ name }) => {
    const outcome = outcomes[Number(name.slice(2))] ?? '';
    return typeof outcome === 'string' ? Promise.resolve(outcome) : Promise.reject(outcome);
  });
}

describe('of several servers', () => {
  it('the first that can be read is taken, and those before it are named', async () => {
    const chosen = await choose(failure('SOURCE_UNREACHABLE'), lacks(B, sources()), 'found', 'x');
    expect(chosen).toMatchObject({ server: { name: 'db2' }, found: 'found' });
    expect(chosen.passed.map(({ server }) => server.name)).toEqual(['db0', 'db1']);
  });

  it.each<[string, readonly RowcallError[], ErrorCode]>([
    [
      'one cannot be reached',
      [lacks(B, sources()), failure('SOURCE_UNREACHABLE')],
      'SOURCE_UNREACHABLE',
    ],
    ['one may still catch up', [failure('SOURCE_UNFIT'), lacks(B, sources(A))], 'SOURCE_BEHIND'],
    [
      'one is of a group',
      [lacks(A, sources()), lacks(B, { uuids: [], group: true })],
      'SOURCE_BEHIND',
    ],
    ['all lack it for good', [lacks(B, sources()), failure('POSITION_PURGED')], 'GTID_NOT_SUBSET'],
    [
      'replicas follow one that lacks it for good',
      [lacks(C, sources(B)), lacks(B, sources(A)), lacks(A, sources())],
      'GTID_NOT_SUBSET',
    ],
    [
      'a replica follows one that was not asked',
      [lacks(A, sources()), lacks(B, sources(C))],
      'SOURCE_BEHIND',
    ],
  ])('none is taken where %s', async (_, outcomes, code) => {
    const error = (await choose(...outcomes).catch((caught: unknown) => caught)) as RowcallError;
    expect(error).toBeInstanceOf(RowcallError);
    expect(error.code).toBe(code);
    outcomes.forEach(({ message }, index) => {
      expect(error.message).toContain(`- db${index}: `);
      expect(error.message).toContain(message);
    });
  });

  it('nothing is tried further after what is not about a server', async () => {
    await expect(choose(failure('POSITION_UNPROVEN'), 'found')).rejects.toMatchObject({
      code: 'POSITION_UNPROVEN',
    });
    await expect(choose(failure('LOG_WRITE_FAILED'), 'found')).rejects.toMatchObject({
      code: 'LOG_WRITE_FAILED',
    });
  });

  it('a single one keeps its own words', async () => {
    const own = failure('SOURCE_UNFIT');
    await expect(choose(own)).rejects.toBe(own);
  });
});

describe('servers compared', () => {
  const named = (uuid: string, executed: string, upstream: Upstream, name = uuid.slice(-1)) => ({
    name,
    place: placeOf(uuid, executed),
    upstream,
  });
  const findings = (...servers: Parameters<typeof compareServers>[0]): string[] =>
    compareServers(servers).map(({ check, value }) => `${check}: ${value}`);

  it('are fine where a replica is behind, or was asked a moment later', () => {
    const source = named(A, `${A}:1-9`, sources());
    expect(findings(source, named(B, `${A}:1-7`, sources(A)))).toEqual([]);
    expect(findings(source, named(B, `${A}:1-11`, sources(A)))).toEqual([]);
    expect(findings(source)).toEqual([]);
  });

  it('show what was written on a replica, and a former source', () => {
    const source = named(A, `${A}:1-9`, sources());
    expect(findings(source, named(B, `${A}:1-9,${B}:1`, sources(A)))).toEqual([
      `transactions of a: without ${B}:1, which b has`,
    ]);
    expect(findings(source, named(B, `${A}:1-7,${B}:1-4`, sources()))).toEqual([
      `transactions of b: without ${A}:8-9, which a has`,
      `transactions of a: without ${B}:1-4, which b has`,
    ]);
  });

  it('show one server under two names, and one without GTIDs', () => {
    const source = named(A, `${A}:1-9`, sources());
    expect(findings(source, { ...source, name: 'again' })[0]).toContain('with one server_uuid');
    const without = { ...source, name: 'old', place: { ...source.place, uuid: B, gtids: null } };
    expect(findings(source, without)).toEqual(['gtid_mode of old: not ON']);
  });
});

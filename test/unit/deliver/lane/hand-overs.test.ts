import { describe, expect, it } from 'vitest';
import { HandOvers } from '../../../../src/deliver/lane/hand-overs.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';

const settler = { durable: () => Promise.resolve() };

describe('what is handed over', () => {
  it('counts in the lanes of who gets it from the moment on that the change is made, and wakes it once that is durable', async () => {
    const handOvers = new HandOvers(await openSqliteState({ path: ':memory:' }), settler);
    const lanes = await handOvers.of('mail');
    let woken = 0;
    const wake = (): void => {
      woken += 1;
    };
    handOvers.receives('mail', { wake, isFull: () => false });
    const options = { name: 'orders', fallback: 'mail', compensate: 'mail' };
    const from = await handOvers.from(options, () => undefined);
    from.joined('shop.orders', '{"id":1}', 100);
    expect([lanes.events, lanes.bytes, woken]).toEqual([2, 200, 0]);
    expect(lanes.has('fallback:orders:shop.orders {"id":1}')).toBe(true);
    expect(lanes.has('compensation:orders:shop.orders {"id":1}')).toBe(true);
    await settler.durable();
    expect(woken).toBe(2);
  });

  it('holds up who hands over while the lanes of who gets it are full, and says when they are not', async () => {
    const handOvers = new HandOvers(await openSqliteState({ path: ':memory:' }), settler);
    let full = true;
    handOvers.receives('mail', { wake: () => undefined, isFull: () => full });
    let told = 0;
    const from = await handOvers.from({ name: 'orders', fallback: 'mail' }, () => {
      told += 1;
    });
    expect([from.hasRoom(), from.hasRoom()]).toEqual([false, false]);
    handOvers.freed('mail');
    expect(told).toBe(0);
    full = false;
    handOvers.freed('mail');
    handOvers.freed('mail');
    expect([told, from.hasRoom()]).toEqual([1, true]);
  });

  it('says so also where who gets it was changed and has more room than before', async () => {
    const handOvers = new HandOvers(await openSqliteState({ path: ':memory:' }), settler);
    handOvers.receives('mail', { wake: () => undefined, isFull: () => true });
    let told = 0;
    const from = await handOvers.from({ name: 'orders', fallback: 'mail' }, () => {
      told += 1;
    });
    expect(from.hasRoom()).toBe(false);
    handOvers.receives('mail', { wake: () => undefined, isFull: () => false });
    expect([told, from.hasRoom()]).toEqual([1, true]);
  });
});

import { describe, expect, it } from 'vitest';
import {
  chooseActive,
  decodeClaim,
  encodeClaim,
  type GroupCandidate,
  type MemberClaim,
} from '../../../../src/log/kafka/group-assigner.ts';

const member = (memberId: string, claim: Partial<MemberClaim> = {}): GroupCandidate => ({
  memberId,
  claim: {
    client: memberId,
    stateId: null,
    active: false,
    takeOver: false,
    startedAt: 1,
    ...claim,
  },
});

describe('the active member', () => {
  it.each<[string, readonly GroupCandidate[], string | null]>([
    ['is the first by id where nobody was active', [member('b'), member('a')], 'a'],
    ['stays who it was', [member('a'), member('b', { active: true })], 'b'],
    [
      'is who takes over',
      [member('a'), member('b', { active: true }), member('c', { takeOver: true })],
      'c',
    ],
    [
      'is the newest of those who took over',
      [member('a', { takeOver: true, active: true }), member('b', { takeOver: true })],
      'b',
    ],
    [
      'is not one who took over before, froze, and wakes before the group made it active',
      [
        member('a', { takeOver: true, startedAt: 1 }),
        member('b', { takeOver: true, startedAt: 2 }),
        member('c', { active: true }),
      ],
      'b',
    ],
    [
      'stays who took over when others come',
      [member('a'), member('b', { takeOver: true, active: true })],
      'b',
    ],
    ['is nobody whose claim cannot be read', [{ memberId: 'a', claim: null }, member('b')], 'b'],
    ['is nobody in a group without claims', [{ memberId: 'a', claim: null }], null],
    ['is nobody in an empty group', [], null],
  ])('%s', (_, members, expected) => {
    expect(chooseActive(members)).toBe(expected);
    expect(chooseActive(members.toReversed())).toBe(expected);
  });
});

describe('a claim', () => {
  it('is read as it was written', () => {
    const known = { client: 'rowcall@host:1', stateId: 's', active: true, takeOver: false };
    const claim = { ...known, startedAt: 7 };
    expect(decodeClaim(encodeClaim(claim))).toEqual(claim);
  });

  it('of a version that did not say when it began is the oldest', () => {
    const text = '{"client":"a","stateId":null,"active":false,"takeOver":true}';
    expect(decodeClaim(Buffer.from(text))?.startedAt).toBe(0);
  });

  it.each([
    '',
    'null',
    '[]',
    '{"client":"a"}',
    '{"client":1,"stateId":null,"active":true,"takeOver":false}',
    '{"client":"a","stateId":1,"active":true,"takeOver":false}',
    '{"client":"a","stateId":null,"active":"yes","takeOver":false}',
  ])('%j is none', (text) => {
    expect(decodeClaim(Buffer.from(text))).toBeNull();
  });
});

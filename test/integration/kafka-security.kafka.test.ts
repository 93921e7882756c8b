import { writeFile } from 'node:fs/promises';
import { createServer, connect as connectTo } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';

import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { makeCertificates } from '../../services/kafka/certificates.ts';
import type { KafkaServer } from '../../services/kafka.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import type { Membership } from '../../src/log/membership.ts';
import { abortable } from '../../src/shared/abort.ts';
import { present } from '../../src/shared/assert.ts';
import { systemClock } from '../../src/shared/clock.ts';
import type { Logger } from '../../src/shared/logger.ts';
import {
  activeConnector,
  checkLog,
  connectorMembership,
  openLetterTopics,
  openLog,
} from '../../src/stores.ts';
import { record, readAll } from '../contract/change-log-samples.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka, uniqueKafkaName } from '../support/kafka.ts';
import { rowcall } from '../support/rowcall-process.ts';
import { tempDir } from '../support/temp-dir.ts';

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
const LIMITED = { mechanism: 'plain', username: 'limited', password: 'limited-secret-5' };
const WRONG = 'wrong-password-7';
const TLS_OFF = { mode: 'off' };

let kafka: KafkaServer;
let account: { readonly username: string; readonly password: string };
/** Another authority than the brokers'. */
let strangerCa = '';
/** The first broker by an address that its certificate does not name. */
let otherName: Server;
let folder = '';
const opened: ChangeLog[] = [];

beforeAll(async () => {
  kafka = await startOwnKafka({
    tls: true,
    sasl: 'PLAIN',
    properties: {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.client.plain.sasl.jaas.config': `${PLAIN} user_rowcall="rowcall-secret" user_${LIMITED.username}="${LIMITED.password}";`,
      'listener.name.client.scram-sha-256.sasl.jaas.config': SCRAM,
      'listener.name.client.scram-sha-512.sasl.jaas.config': SCRAM,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS;User:rowcall',
    },
  });
  const { username = '', password = '' } = kafka.sasl ?? {};
  account = { username, password };
  folder = tempDir();
  strangerCa = (await makeCertificates(folder)).client.ca;
  otherName = createServer((socket) => {
    const [host = '', port = ''] = (kafka.bootstrap[0] ?? '').split(':');
    const to = connectTo(Number(port), host);
    for (const [one, other] of [
      [socket, to],
      [to, socket],
    ] as const) {
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => {
    otherName.listen(0, '127.0.0.2', resolve);
  });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
});
afterAll(() => {
  otherName.close();
});

interface Access {
  readonly tls?: object;
  readonly sasl?: {
    readonly mechanism?: string;
    readonly username?: string;
    readonly password?: string;
  };
  readonly brokers?: readonly string[];
  readonly name?: string;
  readonly deadLetters?: boolean;
}

function settings({ tls, sasl, brokers, name, deadLetters }: Access): Record<string, unknown> {
  return {
    name: name ?? uniqueKafkaName('secure'),
    source: { url: 'mysql://nobody:nothing@127.0.0.1:1/' },
    tables: [{ match: 'a.*' }],
    log: {
      type: 'kafka',
      brokers: brokers ?? kafka.bootstrap,
      tls: tls ?? { mode: 'verify-identity', ca: kafka.tls?.ca },
      sasl: { mechanism: 'scram-sha-512', ...account, ...sasl },
      topics: { partitions: 1, replication_factor: 1 },
      dead_letters: deadLetters ?? false,
    },
    state: { path: join(tempDir(), 'state.db') },
    admin: { listen: '127.0.0.1:0' },
  };
}

const configOf = (access: Access): Config => parseConfig(settings(access), '/');

/** All that was said, fields and all. */
function listen(): { readonly logger: Logger; readonly said: () => string } {
  const said: string[] = [];
  const say = (fields: object, message: string): void => {
    said.push(`${inspect(fields, { depth: 9 })} ${message}`);
  };
  const logger = { debug: say, info: say, warn: say, error: say };
  return { logger, said: () => said.join('\n') };
}

async function open(config: Config, logger: Logger): Promise<ChangeLog> {
  const log = await openLog(config, { clock: systemClock, logger, create: true });
  opened.push(log);
  return log;
}

/** Everything that a process does with its cluster. Returns what was said meanwhile. */
async function useAll(config: Config): Promise<string> {
  const { logger, said } = listen();
  const log = await open(config, logger);
  const at = { topic: `${config.name}.orders`, partition: 0 };
  const writer = await log.openWriter(config.name);
  const [topic] = await writer.createTopics([{ name: at.topic, partitions: 1 }]);
  expect(await checkLog(config, log, [], Date.now())).not.toContainEqual(
    expect.objectContaining({ severity: 'stop' }),
  );
  let told = 0;
  const end = log.onAppend(() => (told += 1));
  await writer.append([{ ...at, records: [record(1), record(2)] }], 'first');
  await eventually(async () => {
    expect(told).toBeGreaterThan(0);
    expect((await readAll(log, at)).map(({ id }) => id)).toEqual([record(1).id, record(2).id]);
  });
  end();
  expect(await log.readCheckpoint(config.name)).toBe('first');
  expect(await log.offsetForTimestamp(at, 0)).toBe(0);
  const marks = [{ ...at, topicId: topic?.id ?? '', offset: 2 }];
  await log.setLowWater('audit', 'state-1', marks);
  expect(await log.lowWater()).toEqual([{ consumer: 'audit', stateId: 'state-1', marks }]);
  await belong(config, logger);
  return said();
}

async function memberOf(config: Config, logger: Logger): Promise<Membership> {
  const parts = { clock: systemClock, logger, takeOver: false };
  return present(await connectorMembership(config, parts), 'a membership');
}

/** Gets the turn, and leaves. */
async function belong(config: Config, logger: Logger): Promise<void> {
  const membership = await memberOf(config, logger);
  const stop = new AbortController();
  const failed = new AbortController();
  let active = false;
  const running = membership.run(stop.signal, (standing) => {
    active = standing.active;
  });
  running.catch((error: unknown) => {
    failed.abort(error);
  });
  const turn = eventually(() => {
    expect(active).toBe(true);
  });
  try {
    await abortable(turn, failed.signal);
    expect((await activeConnector(config))?.client).toMatch(/^rowcall@/);
  } finally {
    stop.abort(new Error('enough'));
    await running;
  }
}

/** What each way of using the cluster ends with. */
async function refusals(access: Access): Promise<Readonly<Record<string, unknown>>> {
  const config = configOf(access);
  const { logger, said } = listen();
  const log = await open(config, logger);
  const membership = await memberOf(config, logger);
  const ways = {
    openWriter: log.openWriter(config.name),
    topics: log.topics(),
    lowWater: log.lowWater(),
    checkLog: checkLog(config, log, [], Date.now()),
    membership: membership.run(new AbortController().signal, () => undefined),
    // Beside the log it asks by a client that keeps a login's failure to itself where there is no TLS.
    ...(access.tls === TLS_OFF ? {} : { activeConnector: activeConnector(config) }),
  };
  const ends = await Promise.allSettled(Object.values(ways));
  const text = `${inspect(ends, { depth: 12 })} ${said()}`;
  for (const secret of [WRONG, account.password, LIMITED.password]) {
    expect(text).not.toContain(secret);
  }
  return Object.fromEntries(
    Object.keys(ways).map((way, index) => {
      const end = ends[index];
      return [way, end?.status === 'rejected' ? (end.reason as unknown) : 'done'];
    }),
  );
}

async function allRefused(access: Access, code: string): Promise<void> {
  for (const [way, end] of Object.entries(await refusals(access))) {
    expect(end, way).toMatchObject({ code, retriable: false, exitCode: 3 });
    expect((end as { readonly cure: string }).cure).toContain('log.');
  }
}

describe('a cluster with TLS and accounts', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'is used whole with an account of %s, whose password is never said',
    async (mechanism) => {
      const said = await useAll(configOf({ sasl: { mechanism } }));
      expect(said).not.toContain(account.password);
    },
  );

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'refuses a wrong password of %s for good',
    (mechanism) => allRefused({ sasl: { mechanism, password: WRONG } }, 'LOG_ACCESS_DENIED'),
  );

  test('refuses an account that it does not know for good', () =>
    allRefused({ sasl: { username: 'nobody', password: WRONG } }, 'LOG_ACCESS_DENIED'));

  test('is refused for good where another authority signed its certificate', async () => {
    for (const mode of ['verify-ca', 'verify-identity']) {
      await allRefused({ tls: { mode, ca: strangerCa } }, 'LOG_TLS');
    }
  });

  test('is refused for good where TLS is off', () => allRefused({ tls: TLS_OFF }, 'LOG_TLS'));

  test('is refused for good by a certificate that is no certificate', () =>
    allRefused({ tls: { mode: 'verify-ca', ca: kafka.tls?.clientKey } }, 'LOG_TLS'));

  test('is believed without its authority where encryption is all that is required', async () => {
    await useAll(configOf({ tls: { mode: 'required' } }));
  });

  test('has to bear its name only where the identity is verified', async () => {
    const { address, port } = otherName.address() as { address: string; port: number };
    const brokers = [`${address}:${port}`];
    const ca = kafka.tls?.ca;
    await useAll(configOf({ brokers, tls: { mode: 'verify-ca', ca } }));
    await useAll(configOf({ brokers, tls: { mode: 'required' } }));
    await allRefused({ brokers, tls: { mode: 'verify-identity', ca } }, 'LOG_TLS');
  });
});

describe('the program', () => {
  async function configFile(access: Access): Promise<string> {
    const file = join(tempDir(), 'rowcall.yaml');
    await writeFile(file, stringify(settings(access)), { mode: 0o600 });
    return file;
  }

  test.each([
    ['LOG_ACCESS_DENIED', { sasl: { password: WRONG } }],
    ['LOG_TLS', { tls: TLS_OFF }],
  ] as const)(
    'ends with exit code 3 and the cure at %s, without a secret',
    async (code, access) => {
      const file = await configFile(access);
      for (const command of ['connect', 'doctor']) {
        const { code: exit, stdout, stderr } = await rowcall([command, '-c', file]);
        expect(`${stdout}${stderr}`).toContain(code);
        expect(`${stdout}${stderr}`).toContain('Check log.');
        expect(exit, stderr).toBe(3);
        expect(`${stdout}${stderr}`).not.toContain(WRONG);
      }
    },
  );
});

describe('an account with rights', () => {
  type Right = readonly [
    type: keyof typeof ResourceTypes,
    name: string,
    operations: readonly (keyof typeof AclOperations)[],
  ];
  type Rights = readonly Right[];

  const TOPIC = ['READ', 'WRITE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'CREATE'] as const;

  /** As docs/KAFKA.md lists them. */
  const documented = (name: string): Rights => [
    ['TOPIC', `${name}.orders`, TOPIC],
    ['TOPIC', `${name}.checkpoint`, TOPIC],
    ['TRANSACTIONAL_ID', `rowcall.${name}`, ['WRITE', 'DESCRIBE']],
    ['GROUP', name, ['READ', 'DESCRIBE']],
    ['GROUP', `${name}.connectors.active`, ['READ', 'DESCRIBE']],
    ['GROUP', `${name}.audit`, ['READ', 'DESCRIBE']],
    ['CLUSTER', 'kafka-cluster', ['IDEMPOTENT_WRITE', 'DESCRIBE', 'DESCRIBE_CONFIGS']],
  ];

  async function allow(rights: Rights): Promise<void> {
    const admin = new Admin({
      clientId: 'test',
      bootstrapBrokers: [...kafka.bootstrap],
      tls: { rejectUnauthorized: false },
      sasl: { mechanism: 'PLAIN', ...account },
      retries: 0,
    });
    const creations = rights.flatMap(([type, resourceName, operations]) =>
      operations.map((operation) => ({
        resourceType: ResourceTypes[type],
        resourceName,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: `User:${LIMITED.username}`,
        host: '*',
        operation: AclOperations[operation],
        permissionType: AclPermissionTypes.ALLOW,
      })),
    );
    try {
      await admin.createAcls({ creations });
      // A broker hears of them a moment after they were made.
      const all = {
        resourceType: ResourceTypes.ANY,
        resourceName: null,
        resourcePatternType: ResourcePatternTypes.ANY,
        principal: null,
        host: null,
        operation: AclOperations.ANY,
        permissionType: AclPermissionTypes.ANY,
      };
      const names = new Set(rights.map(([, resource]) => resource));
      await eventually(async () => {
        const known = await admin.describeAcls({ filter: all });
        const ours = known.filter(({ resourceName }) => names.has(resourceName));
        const count = ours.reduce((sum, { acls }) => sum + acls.length, 0);
        expect(count).toBe(creations.length);
      });
    } finally {
      await admin.close();
    }
  }

  test('needs the documented ones, and no more', async () => {
    const name = uniqueKafkaName('rights');
    await allow(documented(name));
    await useAll(configOf({ name, sasl: LIMITED }));
  });

  /** Writes one letter; rejects with what it was refused with. */
  async function writeLetter(name: string): Promise<void> {
    const config = configOf({ name, sasl: LIMITED, deadLetters: true });
    const parts = { clock: systemClock, logger: listen().logger };
    const topics = present(await openLetterTopics(config, parts), 'topics of dead letters');
    try {
      await topics.write(`${name}.audit.dead-letters`, [record(1)]);
    } finally {
      await topics.close();
    }
  }

  const ofLetters = (name: string): Rights => [
    ['TOPIC', `${name}.audit.dead-letters`, TOPIC],
    ['TRANSACTIONAL_ID', `rowcall.${name}.dead-letters`, ['WRITE', 'DESCRIBE']],
    ['CLUSTER', 'kafka-cluster', ['IDEMPOTENT_WRITE', 'DESCRIBE', 'DESCRIBE_CONFIGS']],
  ];

  test('needs the documented ones for dead letters, and is refused without', async () => {
    const name = uniqueKafkaName('rights');
    await allow(ofLetters(name));
    await writeLetter(name);
    for (const lacking of ['TOPIC', 'TRANSACTIONAL_ID']) {
      const other = uniqueKafkaName('rights');
      await allow(ofLetters(other).filter(([type]) => type !== lacking));
      await expect(writeLetter(other)).rejects.toMatchObject({ code: 'LOG_ACCESS_DENIED' });
    }
  });

  test.each([
    ['TOPIC', '.checkpoint', 'openWriter'],
    ['TRANSACTIONAL_ID', '', 'openWriter'],
    ['GROUP', '.connectors.active', 'membership'],
    ['GROUP', '.audit', 'marks'],
  ] as const)('is refused for good without those on %s %s', async (type, suffix, use) => {
    const name = uniqueKafkaName('rights');
    const rights = documented(name).filter(
      ([of, resource]) => of !== type || !resource.endsWith(`${name}${suffix}`),
    );
    await allow(rights);
    const config = configOf({ name, sasl: LIMITED });
    const { logger } = listen();
    const log = await open(config, logger);
    const uses = {
      openWriter: () => log.openWriter(name),
      membership: () => belong(config, logger),
      marks: () => log.setLowWater('audit', 'state-1', []),
    };
    if (use === 'marks') await log.openWriter(name);
    await expect(uses[use]()).rejects.toMatchObject({
      code: 'LOG_ACCESS_DENIED',
      retriable: false,
      exitCode: 3,
      message: expect.stringContaining('AUTHORIZATION_FAILED') as string,
    });
  });
});

import {
  Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
} from '@platformatic/kafka';
import { afterEach, describe, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { ReceiverJournal } from '../support/receiver-journal.ts';
import { Receiver } from '../support/receiver.ts';
import { TurnScene, readiness } from '../support/turn-scene.ts';
import type { Member } from '../support/turn-scene.ts';

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes ...').toString('base64')}`;
/** A member that died is out of its group after ten seconds; a loaded machine takes longer to say so. */
const AFTER_DEATH = { timeoutMs: 60_000, intervalMs: 200 };

let scene: TurnScene | undefined;
let receiver: Receiver | undefined;

afterEach(async () => {
  await scene?.close();
  await receiver?.refuse();
  receiver = undefined;
});

async function openScene(): Promise<TurnScene> {
  scene = await TurnScene.open(kafkaBrokers());
  return scene;
}

async function openReceiver(): Promise<{
  readonly journal: ReceiverJournal;
  readonly callback: { readonly url: string; readonly secret: string };
}> {
  const journal = new ReceiverJournal();
  receiver = new Receiver({ journal, secret: SECRET });
  await receiver.listen();
  return { journal, callback: { url: receiver.url, secret: SECRET } };
}

async function taken(journal: ReceiverJournal, events: number): Promise<void> {
  await eventually(() => {
    expect(journal.taken('audit').size).toBe(events);
  });
}

async function standsBy({ admin, process }: Member): Promise<void> {
  await eventually(async () => {
    expect(await readiness(admin), process.stderr).toMatchObject({
      ready: false,
      reasons: expect.stringMatching(/^standby: rowcall@\S+ captures$/) as string,
    });
  }, AFTER_DEATH);
}

async function works({ admin, process }: Member): Promise<void> {
  await eventually(async () => {
    expect(await readiness(admin), process.stderr).toEqual({ ready: true, reasons: '' });
  }, AFTER_DEATH);
}

async function logged(scene: TurnScene, ids: readonly number[]): Promise<void> {
  await eventually(async () => {
    expect(await scene.loggedIds()).toEqual(ids);
  }, AFTER_DEATH);
}

describe('two connectors of one name', () => {
  test('the second stands by, and goes on where the first was killed', async () => {
    const scene = await openScene();
    const first = await scene.start();
    await works(first);
    const second = await scene.start();
    await standsBy(second);
    await scene.sql('INSERT INTO orders VALUES (1), (2)');
    await logged(scene, [1, 2]);
    await first.process.kill();
    await scene.sql('INSERT INTO orders VALUES (3)');
    await works(second);
    await logged(scene, [1, 2, 3]);
  });

  test('the second goes on at once where the first stops cleanly', async () => {
    const scene = await openScene();
    const first = await scene.start();
    await works(first);
    const second = await scene.start();
    await standsBy(second);
    expect(await first.process.stop()).toEqual({ code: 0, signal: null });
    const began = performance.now();
    await works(second);
    // Well below the ten seconds after which a silent member counts as gone.
    expect(performance.now() - began).toBeLessThan(8_000);
  });

  test('one that is killed and started again goes on, and beside a standby one of the two does', async () => {
    const scene = await openScene();
    const { journal, callback } = await openReceiver();
    const first = await scene.start({ command: 'run', callback, host: 'a' });
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await taken(journal, 1);
    await first.process.kill();
    const again = await scene.start({ command: 'run', callback, host: 'a' });
    await works(again);
    await scene.sql('INSERT INTO orders VALUES (2)');
    await taken(journal, 2);

    const standby = await scene.start({ host: 'b' });
    await standsBy(standby);
    await again.process.kill();
    await scene.start({ command: 'run', callback, host: 'a' });
    await scene.sql('INSERT INTO orders VALUES (3)');
    await logged(scene, [1, 2, 3]);
    expect(journal.violations).toEqual([]);
  });

  test('one that takes over stops the other, which says so', async () => {
    const scene = await openScene();
    const first = await scene.start();
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await logged(scene, [1]);
    const second = await scene.start({ args: ['--take-over'] });
    expect(await first.process.exited).toEqual({ code: 1, signal: null });
    expect(first.process.stderr).toContain('WRITER_FENCED');
    expect(first.process.stderr).toContain('Another connector of this name took over');
    await works(second);
    await scene.sql('INSERT INTO orders VALUES (2)');
    await logged(scene, [1, 2]);
  });

  test('one that takes over with both legs waits for the state of the other, and delivers on', async () => {
    const scene = await openScene();
    const { journal, callback } = await openReceiver();
    const first = await scene.start({ command: 'run', callback, host: 'a' });
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await taken(journal, 1);
    const second = await scene.start({
      command: 'run',
      args: ['--take-over'],
      callback,
      host: 'a',
    });
    expect(await first.process.exited).toEqual({ code: 1, signal: null });
    expect(first.process.stderr).toContain('WRITER_FENCED');
    await works(second);
    await scene.sql('INSERT INTO orders VALUES (2)');
    await taken(journal, 2);
    expect(journal.violations).toEqual([]);
    await logged(scene, [1, 2]);
  });

  test('one that was frozen while the other went on adds nothing when it wakes', async () => {
    const scene = await openScene();
    const first = await scene.start();
    await works(first);
    const second = await scene.start();
    await standsBy(second);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await logged(scene, [1]);
    first.process.signal('SIGSTOP');
    // The frozen one has them in its socket, and would append them as soon as it wakes.
    await scene.sql('INSERT INTO orders VALUES (2), (3)');
    await works(second);
    await logged(scene, [1, 2, 3]);
    first.process.signal('SIGCONT');
    await eventually(async () => {
      const { reasons } = await readiness(first.admin);
      const fenced = !first.process.running && first.process.stderr.includes('WRITER_FENCED');
      expect(fenced || reasons.startsWith('standby: rowcall@'), first.process.stderr).toBe(true);
    }, AFTER_DEATH);
    await scene.sql('INSERT INTO orders VALUES (4)');
    await logged(scene, [1, 2, 3, 4]);
  });

  test('position set is refused beside one that runs, and status tells which it is', async () => {
    const scene = await openScene();
    const first = await scene.start({ host: 'a' });
    await works(first);
    const file = scene.configFile(first.admin, { host: 'a' });
    const set = await scene.command(file, 'position', 'set', '--latest', '--yes');
    expect(set).toMatchObject({ code: 3 });
    expect(set.stderr).toContain('Another process captures into this log');
    const status = await scene.command(file, 'status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({
      log: { type: 'kafka', connector: expect.stringMatching(/^rowcall@/) as string },
    });
  });
});

test('position set moves the place over Kafka, to skip and to repeat', async () => {
  const scene = await openScene();
  const first = await scene.start({ host: 'a' });
  await works(first);
  const file = scene.configFile(first.admin, { host: 'a' });
  const place = async (): Promise<string> => {
    const { stdout } = await scene.command(file, 'position', 'show', '--json');
    return (JSON.parse(stdout) as { gtidSet: string }).gtidSet;
  };
  await scene.sql('INSERT INTO orders VALUES (1)');
  await logged(scene, [1]);
  const before = await place();
  await scene.sql('INSERT INTO orders VALUES (2)');
  await logged(scene, [1, 2]);
  await first.process.stop();

  await scene.sql('INSERT INTO orders VALUES (3)');
  const skip = await scene.command(file, 'position', 'set', '--latest', '--yes');
  expect(skip.stdout).toMatch(
    /^ {2}skipped {2}in the binlog: \d+ transactions?, rows \S+\.orders 1$/m,
  );
  const second = await scene.start({ host: 'a' });
  await works(second);
  await scene.sql('INSERT INTO orders VALUES (4)');
  await logged(scene, [1, 2, 4]);
  await second.process.stop();

  const again = await scene.command(file, 'position', 'set', '--gtid', before, '--yes');
  expect(again.stdout).toMatch(
    /^ {2}again {4}in the binlog: \d+ transactions, rows \S+\.orders 3$/m,
  );
  await works(await scene.start({ host: 'a' }));
  await logged(scene, [1, 2, 2, 3, 4, 4]);
});

describe('two dispatchers', () => {
  test('the second, with a state of its own, ends with the reason', async () => {
    const scene = await openScene();
    const { journal, callback } = await openReceiver();
    const first = await scene.start({ command: 'run', callback });
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1), (2)');
    await taken(journal, 2);
    const second = await scene.start({ command: 'deliver', callback });
    expect(await second.process.exited).toEqual({ code: 3, signal: null });
    expect(second.process.stderr).toContain('STATE_FOREIGN');
    await scene.sql('INSERT INTO orders VALUES (3)');
    await taken(journal, 3);
    expect(journal.violations).toEqual([]);
  });
});

async function administer(work: (admin: Admin) => Promise<void>): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [...kafkaBrokers()] });
  try {
    await work(admin);
  } finally {
    await admin.close();
  }
}

function set(admin: Admin, topic: string, name: string, value: string): Promise<void> {
  const configs = [{ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }];
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs };
  return admin.incrementalAlterConfigs({ resources: [resource] });
}

/** What doctor found of one part, from its JSON. */
function findingsOf(stdout: string, part: 'log' | 'source'): readonly object[] {
  const { findings } = JSON.parse(stdout) as { findings: readonly { readonly part: string }[] };
  return findings.filter((finding) => finding.part === part);
}

describe('rowcall doctor', () => {
  test('tells of a topic that would forget what a callback has not seen, and the start is refused', async () => {
    const scene = await openScene();
    const { callback } = await openReceiver();
    const first = await scene.start({ command: 'run', callback, host: 'a' });
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await logged(scene, [1]);
    await first.process.stop();
    await administer((admin) => set(admin, scene.topic, 'cleanup.policy', 'compact'));
    const file = scene.configFile(first.admin, { callback, host: 'a' });
    const unfit = await scene.command(file, 'doctor');
    expect(unfit.code).toBe(3);
    expect(unfit.stdout).toContain(`error log: ${scene.topic}: cleanup.policy is compact`);
    const again = await scene.start({ command: 'run', callback, host: 'a' });
    expect(await again.process.exited).toEqual({ code: 3, signal: null });
    expect(again.process.stderr).toContain('TOPIC_COMPACTED');
  });

  test('finds nothing in a fit pipeline, and tells each thing that is wrong with its cure', async () => {
    const scene = await openScene();
    const first = await scene.start({ host: 'a' });
    await works(first);
    await scene.sql('INSERT INTO orders VALUES (1)');
    await logged(scene, [1]);
    const file = scene.configFile(first.admin, { host: 'a' });
    const fit = await scene.command(file, 'doctor', '--json');
    expect(fit, fit.stderr).toMatchObject({ code: 0 });
    // The source of the tests is set up for speed, and its account sees no table: warnings of doctor, no faults.
    expect(JSON.parse(fit.stdout)).toMatchObject({ fit: true });
    expect(findingsOf(fit.stdout, 'log')).toEqual([]);

    await first.process.stop();
    await administer((admin) => set(admin, scene.topic, 'min.insync.replicas', '2'));
    const unable = await scene.command(file, 'doctor');
    expect(unable.code).toBe(3);
    expect(unable.stdout).toContain(
      `error log: ${scene.topic}: min.insync.replicas is 2 with 1 copy, wanted: at most 1`,
    );
    expect(unable.stdout).toContain('cure  kafka-configs --alter --topic');

    await administer((admin) => admin.deleteTopics({ topics: [scene.topic] }));
    await eventually(async () => {
      const unfit = await scene.command(file, 'doctor', '--json');
      expect(unfit, unfit.stdout).toMatchObject({ code: 3 });
      expect(JSON.parse(unfit.stdout)).toMatchObject({ fit: false });
      expect(findingsOf(unfit.stdout, 'log')).toMatchObject([
        {
          severity: 'error',
          check: scene.topic,
          value: 'not there any more',
          cure: expect.stringContaining('Restore the topic') as string,
        },
      ]);
    });
    const again = await scene.start({ host: 'a' });
    expect(await again.process.exited).toEqual({ code: 3, signal: null });
    expect(again.process.stderr).toContain('TOPIC_RECREATED');
  });
});

import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, withConnection } from '../support/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { openSettledScene, type SettledScene } from './support/settled-scene.ts';

const ORDERS =
  'CREATE TABLE orders (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, secret VARCHAR(100))';
const EFFECTS = `CREATE TABLE effects (seq BIGINT AUTO_INCREMENT UNIQUE, event VARCHAR(200) PRIMARY KEY, id BIGINT,
  place BIGINT, answer BIGINT, note JSON, status VARCHAR(20), error VARCHAR(300), runs INT DEFAULT 1)`;

const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
});

async function scene(
  ...args: Parameters<typeof openSettledScene>
): Promise<{ one: SettledScene; account: string }> {
  const one = await openSettledScene(...args);
  toClose.push(() => one.close());
  const account = await freshAccount([`SELECT, INSERT, UPDATE ON \`${one.name}\`.effects`]);
  return { one, account };
}

async function change(one: SettledScene, ...statements: readonly string[]): Promise<void> {
  await withConnection(one.url, (connection) => connection.query(statements.join(';')));
}

interface Waiting {
  readonly settlements: readonly {
    readonly waiting: number;
    readonly failing: number;
    readonly last_error: string | null;
  }[];
}

const waiting = async (one: SettledScene): Promise<Waiting['settlements']> =>
  ((await one.ask('/status')) as Waiting).settlements;

const insertEffect = (name: string): string =>
  `INSERT INTO ${name}.effects (event, id, place, status) VALUES (:event_id, :key.id, :offset, :status)
   ON DUPLICATE KEY UPDATE runs = runs + 1`;

test('a server that is away holds everything back, and nothing of it is lost: all of it comes in the order of its key', async () => {
  const { one, account } = await scene([ORDERS, EFFECTS], () => ({ status: 204 }));
  const { hostname: host, port } = new URL(account);
  const proxy = await TcpProxy.listen({ host, port: Number(port) });
  toClose.push(() => proxy.close());
  const away = { host, port: await freePort() };
  const onSettled = { url: proxy.through(account), sql: insertEffect(one.name) };
  const changes = 60;
  await one.run({ on_settled: onSettled }, async () => {
    const ids = [1, 2, 3];
    await change(one, `INSERT INTO orders (id, n) VALUES ${ids.map((id) => `(${id}, 0)`).join()}`);
    await eventually(async () => {
      expect(await one.rows('SELECT id FROM effects')).toHaveLength(3);
    });
    proxy.retarget(away);
    proxy.cut();
    const updates = Array.from({ length: changes }, (_, n) => n + 1).map(
      (n) => `UPDATE orders SET n = ${n} WHERE id = ${ids[n % 3] ?? 0}`,
    );
    await change(one, ...updates);
    await eventually(async () => {
      expect(await waiting(one)).toMatchObject([
        { waiting: changes, last_error: expect.stringMatching(/ECONN|lost|closed/i) as string },
      ]);
    });
    const list = await one.command('settlements', 'list', '--json');
    expect(JSON.parse(list.out)).toMatchObject({ items: { length: 50 }, next: '53' });
    // Back, and lost again in the middle of it.
    proxy.retarget({ host, port: Number(port) });
    proxy.cutAfter(600);
    await eventually(
      async () => {
        expect(await one.rows('SELECT id FROM effects')).toHaveLength(3 + changes);
        expect(await waiting(one)).toEqual([]);
      },
      { timeoutMs: 60_000 },
    );
  });
  const rows = await one.rows('SELECT id, place, runs FROM effects ORDER BY seq');
  for (const id of ['1', '2', '3']) {
    const places = rows.filter((row) => row['id'] === id).map((row) => Number(row['place']));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  }
  // What was under way at a cut may have run.
  expect(rows.reduce((sum, row) => sum + Number(row['runs']) - 1, 0)).toBeLessThanOrEqual(16);
});

test('a lasting error is told, is mended at the server by an operator or in the configuration, and then goes on', async () => {
  const { one, account } = await scene([ORDERS, EFFECTS], () => ({ status: 204 }));
  const sql = insertEffect(one.name);
  const paid = sql.replace('place, status', 'place, paid');
  const noSuchColumn = /^MySQL: Unknown column 'paid' in 'field list' \(1054\)$/;
  await one.run({ on_settled: { url: account, sql: paid } }, async () => {
    await change(
      one,
      'INSERT INTO orders (id, n) VALUES (1, 0), (2, 0)',
      'UPDATE orders SET n = 1',
    );
    await eventually(async () => {
      expect(await waiting(one)).toMatchObject([
        { waiting: 4, failing: 2, last_error: expect.stringMatching(noSuchColumn) as string },
      ]);
    });
    expect(one.logged()).toContain('"code":"ON_SETTLED_FAILED"');
    await change(one, 'ALTER TABLE effects ADD paid VARCHAR(20)');
    const all = ['--callback', 'orders', '--all'];
    expect(await one.command('settlements', 'retry', ...all)).toMatchObject({ code: 0 });
    await eventually(async () => {
      expect(await one.rows(`SELECT id FROM effects WHERE paid = 'delivered'`)).toHaveLength(4);
      expect(await waiting(one)).toEqual([]);
    });
    await change(one, 'ALTER TABLE effects DROP paid', 'UPDATE orders SET n = 2');
    await eventually(async () => {
      expect(await waiting(one)).toMatchObject([{ waiting: 2, failing: 2 }]);
    });
  });
  await one.run({ on_settled: { url: account, sql } }, () =>
    eventually(async () => {
      expect(await one.rows('SELECT id FROM effects')).toHaveLength(6);
      expect(await waiting(one)).toEqual([]);
    }),
  );
});

test('the JSON of an asynchronous completion gives the parameters, all its digits, whenever it comes', async () => {
  const completions: { id: string; url: string }[] = [];
  const { one, account } = await scene([ORDERS, EFFECTS], (id, _attempt, headers) => {
    completions.push({ id, url: String(headers['rowcall-completion-url']) });
    return { status: 202, body: '{"answer":"not this one"}' };
  });
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const big = '9223372036854775807';
  const complete = (id: string, body: string): Promise<number> => {
    const url = completions.find((each) => each.id === id)?.url ?? '';
    return fetch(url, { method: 'POST', body }).then(({ status }) => status);
  };
  const callback = {
    deliver: {
      ...{ url: one.receiver.url, format: 'raw', allow_private_network: true },
      async: { deadline: '10m' },
    },
    on_settled: {
      url: account,
      sql: `INSERT INTO ${one.name}.effects (event, id, status, error, answer, note)
            VALUES (:event_id, :key.id, :status, :error, :answer.payment.id, :answer.\`what it is\`)
            ON DUPLICATE KEY UPDATE runs = runs + 1`,
    },
  };
  await one.run(
    callback,
    async () => {
      await change(one, 'INSERT INTO orders (id, n) VALUES (1, 0), (2, 0), (3, 0)');
      await eventually(() => {
        expect(completions.map(({ id }) => id).toSorted()).toEqual(['1', '2', '3']);
      });
      expect(await one.rows('SELECT id FROM effects')).toEqual([]);
      const result = `{"payment":{"id":${big}},"what it is":{"n":${big},"t":"o'k \\u0000"}}`;
      expect(await complete('1', `{"status":"succeeded","result":${result}}`)).toBe(200);
      expect(await complete('1', `{"status":"succeeded","result":${result}}`)).toBe(200);
      const failed = `{"status":"failed","reason":"card declined","retryable":false}`;
      expect(await complete('2', failed)).toBe(200);
      expect(await complete('3', '{"status":"succeeded","result":[1,2]}')).toBe(200);
      await eventually(async () => {
        expect(await one.rows('SELECT id FROM effects')).toHaveLength(3);
      });
      // Another end, too late: it is recorded, and nothing runs for it.
      expect(await complete('3', failed)).toBe(409);
      expect(await waiting(one)).toEqual([]);
    },
    { completions: { listen: address, public_url: `http://${address}` } },
  );
  const rows = await one.rows(
    `SELECT id, status, error, answer, CAST(JSON_EXTRACT(note, '$.n') AS CHAR) AS n, runs FROM effects ORDER BY id`,
  );
  expect(rows).toMatchObject([
    { id: '1', status: 'delivered', error: null, answer: big, n: big, runs: 1 },
    { id: '2', status: 'dead', error: expect.stringContaining('card declined') as string },
    { id: '3', status: 'delivered', error: null, answer: null, n: null, runs: 1 },
  ]);
});

test('neither the password nor a value of a row comes into logs, errors, the API or commands, whatever fails', async () => {
  const { one, account } = await scene(
    [ORDERS, 'CREATE TABLE effects (secret VARCHAR(100) PRIMARY KEY, n INT, note JSON)'],
    () => ({ status: 204 }),
  );
  const value = 'card-4111111111111111';
  const secrets = [value, 'account-password', 'wrong-password'];
  const shown: string[] = [];
  const look = async (): Promise<void> => {
    for (const path of ['/status', '/settlements', '/settlements/1', '/callbacks', '/audit']) {
      shown.push(JSON.stringify(await one.ask(path)));
    }
    for (const args of [
      ['list'],
      ['show', '1'],
      ['skip', '1'],
      ['retry', '1'],
      ['show', '1', '--json'],
    ]) {
      const { out, err } = await one.command('settlements', ...args);
      shown.push(out, err);
    }
  };
  const wrong = new URL(account);
  wrong.password = 'wrong-password';
  const statements = [
    // A duplicate, a number that is none, JSON that is none: MySQL's own words quote the value.
    `INSERT INTO ${one.name}.effects (secret) VALUES (:after.secret)`,
    ...['n', 'note'].map(
      (column) => `INSERT INTO ${one.name}.effects (${column}) VALUES (:after.secret)`,
    ),
    `UPDATE ${one.name}.effects SET n = CAST(:after.secret AS SIGNED) + 1 WHERE secret = :after.secret`,
  ];
  await change(
    one,
    `INSERT INTO effects (secret) VALUES ('${value}')`,
    `INSERT INTO orders VALUES (1, 0, '${value}')`,
  );
  const failing = async (words: RegExp): Promise<void> => {
    await eventually(async () => {
      expect(await waiting(one)).toMatchObject([
        { failing: 1, last_error: expect.stringMatching(words) as string },
      ]);
    });
    await look();
  };
  await one.run({ on_settled: { url: wrong.href, sql: statements[0] } }, () => failing(/1045/));
  const errors = [/ER_DUP_ENTRY \(1062\); its text/, /\((1366|1264)\)/, /3140/, /\(1292\)/];
  for (const [index, sql] of statements.entries()) {
    await one.run({ on_settled: { url: account, sql } }, () => failing(errors[index] ?? /./));
  }
  const everything = [one.logged(), ...shown].join('\n');
  expect(everything).toContain('ON_SETTLED_FAILED');
  for (const secret of secrets) expect(everything.split(secret)).toHaveLength(1);
});

/**
 * Writes src/capture/decode/charset/code-page-data.ts: where iconv-lite's tables differ from those of a real
 * server. To be run after another version of iconv-lite: `node scripts/write-charsets.ts`.
 */

import { writeFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { startMysql } from '../services/mysql.ts';
import { baseCodes, checksumOf } from '../src/capture/decode/charset/code-page.ts';
import type { CodePageData, Codes, Layout } from '../src/capture/decode/charset/code-page.ts';
import { codesOfServer, makeByteTable } from './charset-codes.ts';

const TARGET = new URL('../src/capture/decode/charset/code-page-data.ts', import.meta.url);

/** Per character set: how its codes are made, and which of iconv-lite's tables is nearest. */
const BASES: Readonly<Record<string, readonly [layout: Layout, base: string]>> = {
  armscii8: ['single', 'armscii8'],
  big5: ['double', 'cp950'],
  cp1250: ['single', 'cp1250'],
  cp1251: ['single', 'cp1251'],
  cp1256: ['single', 'cp1256'],
  cp1257: ['single', 'cp1257'],
  cp850: ['single', 'cp850'],
  cp852: ['single', 'cp852'],
  cp866: ['single', 'cp866'],
  cp932: ['double', 'cp932'],
  dec8: ['single', 'iso88591'],
  eucjpms: ['triple', 'eucjp'],
  euckr: ['double', 'cp949'],
  gb18030: ['gb18030', 'gb18030'],
  gb2312: ['double-high', 'cp936'],
  gbk: ['double', 'gbk'],
  geostd8: ['single', 'cp1252'],
  greek: ['single', 'iso88597'],
  hebrew: ['single', 'iso88598'],
  hp8: ['single', 'iso88591'],
  keybcs2: ['single', 'cp437'],
  koi8r: ['single', 'koi8r'],
  koi8u: ['single', 'koi8u'],
  latin2: ['single', 'iso88592'],
  latin5: ['single', 'iso88599'],
  latin7: ['single', 'iso885913'],
  macce: ['single', 'macCenteuro'],
  macroman: ['single', 'macroman'],
  sjis: ['double', 'cp932'],
  swe7: ['single', 'ascii'],
  tis620: ['single', 'tis620'],
  ujis: ['triple', 'eucjp'],
};

function differencesOf(server: Codes, base: Codes): string {
  const different = Array.from(new Set([...server.keys(), ...base.keys()]))
    .filter((code) => server.get(code) !== base.get(code))
    .sort((a, b) => a - b);
  const runs: { code: number; more: number; point: number | undefined }[] = [];
  for (const code of different) {
    const point = server.get(code);
    const last = runs.at(-1);
    const next = last?.point === undefined ? undefined : last.point + last.more + 1;
    if (last !== undefined && last.code + last.more + 1 === code && next === point) last.more += 1;
    else runs.push({ code, more: 0, point });
  }
  const text = (value: number | undefined): string => value?.toString(16).toUpperCase() ?? '';
  return runs
    .map(({ code, more, point }) => `${text(code)}${more === 0 ? '' : `+${more}`}=${text(point)}`)
    .join(' ');
}

const server = await startMysql({ progress: console.error });
const connection = await createConnection({ uri: server.url });
const pages: Record<string, CodePageData> = {};
try {
  const database = `charsets_${crypto.randomUUID().slice(0, 8)}`;
  await connection.query(`CREATE DATABASE ${database}`);
  await connection.query(`USE ${database}`);
  await makeByteTable(connection);
  for (const [name, [layout, base]] of Object.entries(BASES)) {
    const codes = await codesOfServer(connection, name);
    const differences = differencesOf(withoutSupplement(codes), baseCodes(base, layout));
    pages[name] = { layout, base, differences, checksum: checksumOf(withoutSupplement(codes)) };
  }
  await connection.query(`DROP DATABASE ${database}`);
} finally {
  await connection.end();
  await server.dispose();
}

/** gb18030's four-byte codes above the first plane are counted, not listed. */
function withoutSupplement(codes: Codes): Codes {
  return new Map(Array.from(codes).filter(([, point]) => point < 0x1_0000));
}

const entries = Object.entries(pages).map(
  ([name, page]) =>
    `  ${name}: {\n    layout: '${page.layout}',\n    base: '${page.base}',\n` +
    `    differences: '${page.differences}',\n    checksum: ${page.checksum},\n  },\n`,
);
writeFileSync(
  TARGET,
  `/** Written by scripts/write-charsets.ts from a server's own tables (MySQL ${server.version}). */\n\n` +
    `import type { CodePageData } from './code-page.ts';\n\n` +
    `export const CODE_PAGES = {\n${entries.join('')}} as const satisfies Readonly<Record<string, CodePageData>>;\n`,
);

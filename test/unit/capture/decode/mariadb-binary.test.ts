import { describe, expect, it } from 'vitest';
import {
  inet4Reader,
  inet6Reader,
  uuidReader,
} from '../../../../src/capture/decode/types/mariadb-binary.ts';
import type { ValueReader } from '../../../../src/capture/decode/types/value-reader.ts';
import { readValue } from './bytes.ts';

/** As it stands in a row: trailing zero bytes are cut off. */
function read(reader: ValueReader, hex: string): unknown {
  const bytes = Buffer.from(hex.replaceAll(/[^\da-f]/g, '').replace(/(?:00)+$/, ''), 'hex');
  return JSON.parse(readValue(reader, Buffer.concat([Buffer.from([bytes.length]), bytes])));
}

describe('a UUID', () => {
  it('is its bytes in their own order', () => {
    expect(read(uuidReader(), '123e4567e89b12d3a456426655440000')).toBe(
      '123e4567-e89b-12d3-a456-426655440000',
    );
    expect(read(uuidReader(), '00000000000000000000000000000000')).toBe(
      '00000000-0000-0000-0000-000000000000',
    );
  });

  it('of more bytes is refused', () => {
    expect(() => readValue(uuidReader(), Buffer.alloc(18, 17))).toThrow(
      expect.objectContaining({ code: 'VALUE_INVALID' }),
    );
  });
});

describe('an INET4', () => {
  it.each([
    ['c0000201', '192.0.2.1'],
    ['ff000000', '255.0.0.0'],
    ['00000000', '0.0.0.0'],
  ])('%s is %s', (hex, text) => {
    expect(read(inet4Reader(), hex)).toBe(text);
  });
});

describe('an INET6', () => {
  // As MariaDB 10.11 and 11.4 print them.
  it.each([
    ['0000 0000 0000 0000 0000 0000 0000 0000', '::'],
    ['0000 0000 0000 0000 0000 0000 0000 0001', '::1'],
    ['0000 0000 0000 0000 0000 0000 0000 0102', '::102'],
    ['0000 0000 0000 0000 0000 0000 0102 0304', '::1.2.3.4'],
    ['0000 0000 0000 0000 0000 0000 0002 0001', '::0.2.0.1'],
    ['0000 0000 0000 0000 0000 ffff 0102 0304', '::ffff:1.2.3.4'],
    ['0000 0000 0000 0000 0000 ffff 0000 0000', '::ffff:0.0.0.0'],
    ['0000 0000 0000 0000 0000 fffe 0102 0304', '::fffe:102:304'],
    ['0000 0000 0000 0000 0000 0001 0000 0000', '::1:0:0'],
    ['0064 ff9b 0000 0000 0000 0000 0102 0304', '64:ff9b::102:304'],
    ['0001 0000 0000 0000 0000 0000 0000 0000', '1::'],
    ['0001 0000 0000 0002 0000 0000 0000 0000', '1:0:0:2::'],
    ['0001 0000 0000 0002 0000 0000 0000 0003', '1:0:0:2::3'],
    ['0001 0000 0000 0002 0000 0000 0003 0004', '1::2:0:0:3:4'],
    ['0000 0001 0000 0001 0000 0001 0000 0001', '::1:0:1:0:1:0:1'],
    ['0001 0002 0003 0004 0005 0006 0000 0008', '1:2:3:4:5:6::8'],
    ['0001 0002 0003 0004 0005 0006 0007 0000', '1:2:3:4:5:6:7::'],
    ['2001 0db8 000a 00b0 0c00 d000 ffff 0001', '2001:db8:a:b0:c00:d000:ffff:1'],
  ])('%s is %s', (hex, text) => {
    expect(read(inet6Reader(), hex)).toBe(text);
  });
});

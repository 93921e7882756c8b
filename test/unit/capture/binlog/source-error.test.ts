import { describe, expect, it } from 'vitest';
import { sourceError } from '../../../../src/capture/binlog/source-error.ts';
import { RowcallError } from '../../../../src/errors.ts';

function failure(fields: object): Error {
  return Object.assign(new Error('what the server said'), fields);
}

describe('a failure of the source', () => {
  it.each([
    [{ errno: 1045, code: 'ER_ACCESS_DENIED_ERROR' }, 'SOURCE_ACCESS_DENIED'],
    [{ errno: 1044 }, 'SOURCE_ACCESS_DENIED'],
    [{ errno: 1227 }, 'SOURCE_ACCESS_DENIED'],
    [{ errno: 3159 }, 'SOURCE_TLS'],
    [{ errno: 1040 }, 'SOURCE_UNREACHABLE'],
    [{ errno: 1053 }, 'SOURCE_LOST'],
    [{ errno: 1236 }, 'BINLOG_DUMP_REFUSED'],
    [{ errno: 1064 }, 'SOURCE_QUERY_FAILED'],
    [{ code: 'PROTOCOL_CONNECTION_LOST' }, 'SOURCE_LOST'],
    [{ code: 'ECONNRESET', errno: -104 }, 'SOURCE_LOST'],
    [{ code: 'HANDSHAKE_SSL_ERROR' }, 'SOURCE_TLS'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'SOURCE_TLS'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'SOURCE_TLS'],
    [{ code: 'AUTH_SWITCH_PLUGIN_ERROR' }, 'SOURCE_ACCESS_DENIED'],
    [{}, 'SOURCE_LOST'],
  ])('with %j is %s', (fields, code) => {
    expect(sourceError(failure(fields), true).code).toBe(code);
  });

  it.each(['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'ECONNRESET'])(
    'with %s before the handshake is SOURCE_UNREACHABLE',
    (code) => {
      expect(sourceError(failure({ code, errno: -1 }), false).code).toBe('SOURCE_UNREACHABLE');
    },
  );

  it('that has a code of ours already keeps it', () => {
    const error = new RowcallError('SOURCE_SILENT', 'nothing came');
    expect(sourceError(error, true)).toBe(error);
  });
});

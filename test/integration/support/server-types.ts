/** What the server at hand has not. */
import type { Connection, RowDataPacket } from 'mysql2/promise';

/** VECTOR: MySQL from 9.0 on. */
export async function hasVectorType(connection: Connection): Promise<boolean> {
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
  return Number.parseInt(String(row?.['version']), 10) >= 9;
}

/** Kafka's own programs, run inside a broker's container: they and a Java are in its image. */
import type { Container } from 'dockerode';
import { PassThrough } from 'node:stream';
import type { ToolProcess } from './tools.ts';

/** Its types do not know it. */
interface Demultiplexer {
  demuxStream(stream: NodeJS.ReadableStream, stdout: PassThrough, stderr: PassThrough): void;
}

/** The pid is kept where `end` finds it: Docker's interface ends no single program of a container. */
const SCRIPT = 'echo $$ >"$0"; exec /opt/kafka/bin/kafka-run-class.sh "$@"';
const KILL = 'kill -9 "$(cat "$0")"';

export async function containerTool(
  container: Container,
  mainClass: string,
  args: readonly string[],
): Promise<ToolProcess> {
  const pidFile = `/tmp/tool-${crypto.randomUUID()}.pid`;
  const exec = await container.exec({
    Cmd: ['sh', '-c', SCRIPT, pidFile, mainClass, ...args],
    Env: ['KAFKA_HEAP_OPTS=-Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({ hijack: true, stdin: true });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  (container.modem as Demultiplexer).demuxStream(stream, stdout, stderr);
  const exited = new Promise<void>((resolve, reject) => {
    stream.once('error', reject);
    stream.once('end', resolve);
    stream.once('close', resolve);
  }).then(async () => {
    stdout.end();
    stderr.end();
    return (await exec.inspect()).ExitCode ?? -1;
  });
  let isOver = false;
  const settle = (): void => {
    isOver = true;
  };
  exited.then(settle, settle);
  const end = async (): Promise<void> => {
    if (isOver) return;
    const kill = await container.exec({ Cmd: ['sh', '-c', KILL, pidFile] });
    await kill.start({ Detach: true });
    await exited;
  };
  return { stdin: stream, stdout, stderr, exited, end };
}

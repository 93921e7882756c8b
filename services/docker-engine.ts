/** The Docker engine of this machine or of DOCKER_HOST, where one answers. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ContainerRuntimeClient, GenericContainer } from 'testcontainers';

export interface DockerEngine {
  readonly client: ContainerRuntimeClient;
  /** Containers' ports are reached on 127.0.0.1. */
  readonly isLocal: boolean;
  /** A container with these ports published, on a local engine to this machine alone. */
  readonly container: (
    image: string,
    ports: readonly { readonly container: number; readonly host: number }[],
  ) => GenericContainer;
}

/** Undefined where none answers; `title` is for the progress: "MySQL". */
export async function dockerEngine(
  title: string,
  progress: (line: string) => void,
): Promise<DockerEngine | undefined> {
  if (!mayHaveEngine()) return undefined;
  // Loaded only where it is of use: it takes most of a second.
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  const client = await getContainerRuntimeClient().catch(() => undefined);
  if (client === undefined) {
    progress(`${title}: Docker is configured here, but no engine answers`);
    return undefined;
  }
  const isLocal = client.info.containerRuntime.host === 'localhost';
  return {
    client,
    isLocal,
    container: (image, ports) => {
      /** Published to this machine alone, which Testcontainers has no setting for. */
      class LoopbackContainer extends GenericContainer {
        protected override beforeContainerCreated(): Promise<void> {
          this.hostConfig.PortBindings = Object.fromEntries(
            ports.map(({ container, host }) => [
              `${container}/tcp`,
              [{ HostIp: '127.0.0.1', HostPort: String(host) }],
            ]),
          );
          return Promise.resolve();
        }
      }
      return new (isLocal ? LoopbackContainer : GenericContainer)(image).withExposedPorts(...ports);
    },
  };
}

/** Cheap signs of an engine, so that machines without one do not load the client for nothing. */
function mayHaveEngine(): boolean {
  const home = homedir();
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return (
    (process.env['DOCKER_HOST'] ?? '') !== '' ||
    [
      '/var/run/docker.sock',
      join(home, '.testcontainers.properties'),
      join(home, '.docker/run/docker.sock'),
      join(home, '.docker/desktop/docker.sock'),
      ...(runtime === undefined ? [] : [join(runtime, 'docker.sock')]),
    ].some((path) => existsSync(path))
  );
}

import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

export interface SocketOptions {
  socket: string;
}

/** Where a cluster is found, by all commands that speak to one. */
export const withSocket = (command: Command): Command =>
  command.option('--socket <path>', "of the cluster's API", join(tmpdir(), `ciliate-${userInfo().username}.sock`));

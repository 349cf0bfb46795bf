import { type IncomingMessage, request } from 'node:http';
import { InputError, type ObjectRef } from '@ciliate/k8s';
import type { PodAddresses } from './cluster.ts';

/** Speaks to a cluster that runs, over its Unix socket. */
export class ApiClient {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  pods(): Promise<PodAddresses[]> {
    return this.#json('GET', '/v1/pods');
  }

  /** In the order of the numbers. */
  identities(): Promise<{ id: number; labels: string[] }[]> {
    return this.#json('GET', '/v1/identity');
  }

  /** @param text YAML @param file its name, for messages. @throws InputError: what is wrong with it */
  async apply(text: string, file: string): Promise<(ObjectRef & { what: string })[]> {
    const path = `/v1/objects?file=${encodeURIComponent(file)}`;
    const { applied } = await this.#json<{ applied: (ObjectRef & { what: string })[] }>('POST', path, text);
    return applied;
  }

  async delete(text: string, file: string): Promise<ObjectRef[]> {
    const path = `/v1/objects/delete?file=${encodeURIComponent(file)}`;
    const { deleted } = await this.#json<{ deleted: ObjectRef[] }>('POST', path, text);
    return deleted;
  }

  /** @param since `count` of an earlier answer */
  notes(since = 0): Promise<{ count: number; notes: { pod: string; text: string }[] }> {
    return this.#json('GET', `/v1/notes?since=${since}`);
  }

  /** Text, as it comes. */
  async *flows(follow: boolean): AsyncIterable<string> {
    const response = await this.#send('GET', `/v1/flows?follow=${follow}`);
    response.setEncoding('utf8');
    yield* response as AsyncIterable<string>;
  }

  async #json<T>(method: string, path: string, body?: string): Promise<T> {
    const response = await this.#send(method, path, body);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    const value = JSON.parse(text) as T & { error?: string };
    if (response.statusCode === 400) throw new InputError(`${value.error}`, { path: this.#path });
    if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${value.error}`);
    return value;
  }

  /** @throws InputError if nobody serves there */
  #send(method: string, path: string, body = ''): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#path, method, path }, resolve);
      asked.on('error', (cause: NodeJS.ErrnoException) => {
        const problem = `${this.#path}: no cluster runs there (${cause.code}); start one with: ciliate up -f FILE`;
        reject(new InputError(problem, { path: this.#path }, cause));
      });
      asked.end(body);
    });
  }
}

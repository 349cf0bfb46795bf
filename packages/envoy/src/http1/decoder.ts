import type { Headers, HeadPlace, HttpError, RequestStart, ResponseStart } from './message.ts';
import { type ParserEvent, RequestParser, ResponseParser } from './parser.ts';

/** A message that is complete. `end` is the stream place after its last byte; the body lies between `headEnd` and it. */
interface Complete extends HeadPlace {
  readonly end: number;
  readonly trailers: Headers;
}

export type HttpRequest = RequestStart & Complete;
export type HttpResponse = ResponseStart & Complete;

/** Puts parser events together to whole messages, without their bodies. */
class Collector<Start> {
  error: HttpError | undefined;
  #head: (Start & HeadPlace) | undefined;

  collect(next: () => ParserEvent<Start> | undefined): (Start & Complete)[] {
    const messages: (Start & Complete)[] = [];
    for (let event = next(); event !== undefined; event = next()) {
      if (event.type === 'head') this.#head = event.head;
      if (event.type === 'end') messages.push({ ...this.#head!, end: event.end, trailers: event.trailers });
      if (event.type === 'error') this.error = event.error;
    }
    return messages;
  }
}

/** Finds requests and their boundaries in what a client sent, fed in pieces of any size. */
export class RequestDecoder {
  readonly #parser = new RequestParser();
  readonly #collector = new Collector<RequestStart>();

  /** Why nothing is decoded any more; undefined while all is well. */
  get error(): HttpError | undefined {
    return this.#collector.error;
  }

  /** @returns the requests that these bytes complete, in order */
  feed(bytes: Uint8Array): HttpRequest[] {
    this.#parser.push(bytes);
    return this.#collector.collect(() => this.#parser.next());
  }
}

/** Finds responses and their boundaries in what a server sent. Interim ones (1xx) come as messages of their own. */
export class ResponseDecoder {
  readonly #parser = new ResponseParser();
  readonly #collector = new Collector<ResponseStart>();

  /** Why nothing is decoded any more; undefined while all is well. */
  get error(): HttpError | undefined {
    return this.#collector.error;
  }

  /** Announces the method of a request; must come before the bytes of its response. */
  expect(method: string): void {
    this.#parser.expect(method);
  }

  /** @returns the responses that these bytes complete, in order */
  feed(bytes: Uint8Array): HttpResponse[] {
    this.#parser.push(bytes);
    return this.#collector.collect(() => this.#parser.next());
  }

  /** The stream ended. @returns a response whose end is the stream's, if one was under way */
  finish(): HttpResponse[] {
    this.#parser.finish();
    return this.#collector.collect(() => this.#parser.next());
  }
}

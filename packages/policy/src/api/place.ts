import { didYouMean, type K8sObject, nearestWord, oneOf, type Position, positionOf } from '@ciliate/k8s';
import { PolicyError } from '../errors.ts';

/** A field of an object. Its path and its position in the file are worked out only when somebody asks. */
export class Place {
  readonly #object: K8sObject;
  readonly #parent: Place | undefined;
  readonly #step: string | number;

  private constructor(object: K8sObject, parent: Place | undefined, step: string | number) {
    this.#object = object;
    this.#parent = parent;
    this.#step = step;
  }

  /** @param field of the object itself: `spec`, `metadata` */
  static of(object: K8sObject, field: string): Place {
    return new Place(object, undefined, field);
  }

  /** A field of this, or an entry of this list. */
  at(step: string | number): Place {
    return new Place(this.#object, this, step);
  }

  /** As in `spec.ingress[0].fromEndpoints[1].matchLabels["app.kubernetes.io/name"]`. */
  get path(): string {
    const above = this.#parent?.path ?? '';
    if (typeof this.#step === 'number') return `${above}[${this.#step}]`;
    if (!/^[\w-]+$/.test(this.#step)) return `${above}[${JSON.stringify(this.#step)}]`;
    return above === '' ? this.#step : `${above}.${this.#step}`;
  }

  get position(): Position {
    return positionOf(this.#object, this.path);
  }

  /** @throws PolicyError, always */
  refuse(problem: string, cause?: unknown): never {
    throw new PolicyError(this.position, this.path, problem, cause);
  }

  /**
   * For a word that is none of those allowed; says which one was probably meant.
   * @throws PolicyError, always
   */
  refuseWord(what: string, word: string, allowed: readonly string[]): never {
    const nearest = nearestWord(word, allowed);
    const meant = nearest === undefined ? `, expected ${oneOf(allowed)}` : didYouMean(nearest);
    return this.refuse(`unknown ${what} ${JSON.stringify(word)}${meant}`);
  }
}

import { InputError } from '@ciliate/k8s';

/**
 * The fields of an object read from a set, each asked for by name, so that nothing else gets through to the engine.
 * What is missing or of another type is refused with its place.
 */
export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #path: string;

  /**
   * @param where `file:line`
   * @param path of the object in its line, '' for the whole
   * @throws InputError if it is no object
   */
  constructor(value: unknown, where: string, path = '') {
    if (!isObject(value)) throw new InputError(`${where}: ${path === '' ? '' : `${path}: `}want an object`, { where });
    this.#object = value;
    this.#where = where;
    this.#path = path;
  }

  text(name: string): string {
    return this.#get(name, isText, 'text');
  }

  textOr(name: string, absent: string): string {
    return this.has(name) ? this.text(name) : absent;
  }

  flag(name: string): boolean {
    return this.#get(name, isFlag, 'true or false');
  }

  whole(name: string): number {
    return this.#get(name, isWhole, 'a whole number that is not negative');
  }

  oneOf<T extends string>(name: string, ...words: readonly T[]): T {
    const isWord = (value: unknown): value is T => (words as readonly unknown[]).includes(value);
    return this.#get(name, isWord, words.join(' or '));
  }

  texts(name: string): string[] {
    return this.#get(name, isTexts, 'a list of texts');
  }

  list(name: string): readonly unknown[] {
    return this.#get(name, isList, 'a list');
  }

  /** A list of objects. */
  all(name: string): Fields[] {
    return this.list(name).map((item, i) => new Fields(item, this.#where, `${this.#pathOf(name)}[${i}]`));
  }

  object(name: string): Fields {
    return new Fields(this.#object[name], this.#where, this.#pathOf(name));
  }

  /** An object whose values are texts. */
  map(name: string): Record<string, string> {
    return this.#get(name, isMap, 'an object of texts');
  }

  /** What may be absent, or null. */
  has(name: string): boolean {
    return this.#object[name] !== undefined && this.#object[name] !== null;
  }

  names(): string[] {
    return Object.keys(this.#object);
  }

  /** As it is, whatever it is. */
  raw(name: string): unknown {
    return this.#object[name];
  }

  /** That a field is no good, for reasons that its type does not tell. */
  wrong(name: string, problem: string): InputError {
    return new InputError(`${this.#where}: ${this.#pathOf(name)}: ${problem}`, { where: this.#where });
  }

  #get<T>(name: string, isRight: (value: unknown) => value is T, want: string): T {
    const value = this.#object[name];
    if (isRight(value)) return value;
    throw this.wrong(name, value === undefined ? `missing; want ${want}` : `want ${want}`);
  }

  #pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isTexts = (value: unknown): value is string[] => isList(value) && value.every(isText);
const isMap = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every(isText);

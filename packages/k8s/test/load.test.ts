import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DecodeError, InputError, loadObjects } from '../src/index.ts';
import { pod, service } from './texts.ts';

const folder = mkdtempSync(join(tmpdir(), 'ciliate-k8s-'));
afterAll(() => rmSync(folder, { recursive: true }));

const podAt = (name: string, address: string): string => pod('').replace('web-1', name).replace('10.0.0.1', address);

/** A fresh folder with these files; a name that ends in / is a folder. */
let made = 0;
function files(content: Record<string, string | Uint8Array>): string {
  const root = join(folder, `case-${made++}`);
  mkdirSync(root);
  for (const [name, text] of Object.entries(content)) {
    if (name.endsWith('/')) mkdirSync(join(root, name));
    else writeFileSync(join(root, name), text);
  }
  return root;
}

/** The message, with the folder left out. */
function messageOf(root: string, ...paths: string[]): string {
  try {
    return `loaded ${loadObjects(paths.map((path) => join(root, path))).length}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.code).toBe('BAD_INPUT');
    return error.message.replaceAll(`${root}/`, '').replaceAll(root, '.');
  }
}

test('a folder is read by name, without other files and folders', () => {
  const root = files({
    'b.yml': podAt('b', '10.0.0.2'),
    'a.yaml': podAt('a', '10.0.0.1'),
    'c.json': '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}',
    'empty.yaml': '# later\n',
    'README.md': 'not: [yaml',
    'old/': '',
    'old/d.yaml': podAt('d', '10.0.0.4'),
    'folder.yaml/': '',
  });
  const objects = loadObjects([root]);
  expect(objects.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
  expect(objects[1]?.position).toEqual({ file: join(root, 'b.yml'), line: 1, column: 1 });
});

test('paths are read in the order given, and a file only once', () => {
  const root = files({ 'a.yaml': podAt('a', '10.0.0.1'), 'b.yaml': podAt('b', '10.0.0.2') });
  const paths = [join(root, 'b.yaml'), root, join(root, '..', root.split('/').at(-1) ?? '', 'a.yaml')];
  expect(loadObjects(paths).map(({ metadata }) => metadata.name)).toEqual(['b', 'a']);
});

const bad: [sentence: string, content: Record<string, string | Uint8Array>, paths: string[], message: string][] = [
  ['a path that is not there', { 'cluster.yaml': '' }, ['policy'], 'policy: no such file or folder'],
  [
    'a path nearly as written',
    { 'cluster.yaml': '' },
    ['cluster.yml'],
    'cluster.yml: no such file or folder, did you mean "cluster.yaml"?',
  ],
  ['a path in a folder that is not there', {}, ['x/y.yaml'], 'x/y.yaml: no such file or folder'],
  ['a path below a file', { 'a.yaml': '' }, ['a.yaml/b.yaml'], 'a.yaml/b.yaml: no such file or folder'],
  [
    'a file of another sort',
    { 'a.txt': '' },
    ['a.txt'],
    'a.txt: want a .yaml, .yml or .json file, or a folder of them',
  ],
  ['a folder without such files', { 'a.txt': '', 'b/': '' }, [''], '.: no .yaml, .yml or .json file in this folder'],
  ['a file without objects', { 'a.yaml': '# none\n' }, ['a.yaml'], 'a.yaml: holds no object'],
  [
    'bytes that are no text',
    { 'a.yaml': new Uint8Array([0x61, 0xff, 0xfe]) },
    ['a.yaml'],
    'a.yaml: not a text in UTF-8',
  ],
  [
    'wrong objects in several files',
    { 'a.yaml': 'kind: Pood\napiVersion: v1', 'b.yaml': podAt('b', '10.0.0.2'), 'c.yaml': 'a: b: c' },
    [''],
    'a.yaml:1:7: kind: unknown kind "Pood", did you mean "Pod"?\n' +
      'c.yaml:1:4: not valid YAML: nested mappings are not allowed in compact mappings',
  ],
  [
    'the same object in two files',
    { 'a.yaml': podAt('a', '10.0.0.1'), 'b.yaml': `# again\n${podAt('a', '10.0.0.2')}` },
    [''],
    'b.yaml:2:1: metadata.name: Pod default/a is defined twice; first at a.yaml:1:1',
  ],
  [
    'an address of two pods',
    { 'a.yaml': `${podAt('a', '10.0.0.1')}---\n${podAt('b', '10.0.0.1')}` },
    ['a.yaml'],
    'a.yaml:8:1: status.podIP: 10.0.0.1 is also the address of Pod default/a at a.yaml:1:1',
  ],
  [
    'an address of a pod and a service',
    {
      'a.yaml': podAt('a', '10.0.0.1'),
      'b.yaml': service('  clusterIP: 10.0.0.1\n  selector: {a: b}\n  ports: [{port: 80}]\n'),
    },
    [''],
    'b.yaml:1:1: spec.clusterIP: 10.0.0.1 is also the address of Pod default/a at a.yaml:1:1',
  ],
];
test.each(bad)('%s', (_sentence, content, paths, message) => {
  expect(messageOf(files(content), ...paths)).toBe(message);
});

test('one name for different kinds and in different namespaces is no clash', () => {
  const root = files({
    'a.yaml': podAt('web', '10.0.0.1'),
    'b.yaml': podAt('web\n  namespace: shop', '10.0.0.2'),
    'c.yaml': service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80}]\n'),
  });
  expect(messageOf(root, '')).toBe('loaded 3');
});

test('the problems of many files are counted together', () => {
  const wrong = 'apiVersion: v1\nkind: Banana\n---\n'.repeat(15);
  const root = files({ 'a.yaml': wrong, 'b.yaml': wrong });
  try {
    loadObjects([root]);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    expect((error as DecodeError).problems).toHaveLength(20);
    expect((error as DecodeError).message).toMatch(/\nand 10 more$/);
  }
});

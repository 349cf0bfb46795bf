import { describe, expect, test } from 'vitest';
import { RejectedPolicy } from '../src/matcher.ts';
import { compileServerName } from '../src/tls/server_names.ts';

const patterns: [pattern: string, matches: string[], others: string[]][] = [
  ['www.cilium.io', ['www.cilium.io'], ['cilium.io', 'wwwxcilium.io', 'www.cilium.io.', 'a.www.cilium.io', '']],
  ['WWW.Cilium.IO', ['www.cilium.io'], []],
  ['*.cilium.io', ['www.cilium.io', 'blog.cilium.io', '.cilium.io'], ['cilium.io', 'foo.bar.cilium.io', 'a.b.io']],
  ['*cilium.io', ['cilium.io', 'sub-cilium.io', 'subcilium.io'], ['www.cilium.io', 'blog.cilium.io']],
  ['sub*.cilium.io', ['sub.cilium.io', 'subdomain.cilium.io'], ['blog-sub.cilium.io', 'blog.sub.cilium.io']],
  ['**.cilium.io', ['www.cilium.io', 'test.app.cilium.io'], ['cilium.io', '.cilium.io', 'a..cilium.io']],
  ['*', ['a', 'a.b', 'sub.test_1.io'], ['', 'a.', '.a', 'a..b', 'ä.io', 'a b']],
  ['**', ['a', 'a.b'], ['', 'a.']],
  ['a*.*b*', ['a.b', 'ax.yby'], ['a', 'b.a']],
  ['a.*.c', ['a.b.c', 'a..c'], ['a.b.b.c']],
  ['10.0.0.1', ['10.0.0.1'], ['10.0.0.12', '10x0x0x1']],
];

describe('a pattern of server names', () => {
  test.each(patterns)('%s', (pattern, matches, others) => {
    const compiled = compileServerName(pattern, 'here');
    expect(matches.filter((name) => !compiled(name))).toEqual([]);
    expect(others.filter(compiled)).toEqual([]);
  });

  test.each(['', '.', 'a.', '.a', 'a..b', '***', 'a**', '**a.b', 'a b', 'ä.io', '[a].b', 'a\n'])(
    '%j is none',
    (pattern) => expect(() => compileServerName(pattern, 'here')).toThrow(RejectedPolicy),
  );

  test('is matched in time that grows with the name alone', () => {
    const hostile = compileServerName(`${'*a'.repeat(60)}*b`, 'here');
    expect(hostile('a'.repeat(255))).toBe(false);
  });
});

import { DEFAULT_CONFIG } from '@ciliate/bpf';
import { ObjectStore } from '@ciliate/k8s';
import { parseIp } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { type DatapathFlags, datapathConfigOf } from '../src/datapath_config.ts';
import { familiesOf } from '../src/families.ts';

const BOTH = { ipv4: true, ipv6: true };
const NODE = ['192.168.1.1', 'fd00:1::1'].map((text) => parseIp(text)!);
const cidr = (text: string) => {
  const [address, length] = text.split('/');
  return { address: parseIp(address!)!, length: Number(length) };
};

const rows: [name: string, flags: DatapathFlags, want: object][] = [
  ['nothing said: as the emulator always was', {}, { tunnelMode: false, encapIfindex: 0, masqueradeIpv4: false }],
  [
    'a tunnel has a device and the port of its protocol',
    { routingMode: 'tunnel', tunnelProtocol: 'geneve' },
    { tunnelMode: true, encapIfindex: 6, node: { tunnelPort: 6081 } },
  ],
  ['VXLAN if none is named', { routingMode: 'tunnel' }, { node: { tunnelPort: 8472 } }],
  [
    'masquerading uses the addresses of the node, as words of the machine',
    { enableIpv4Masquerade: true, enableIpv6Masquerade: true },
    {
      masqueradeIpv4: true,
      masqueradeIpv6: true,
      node: { masqueradeIpv4: 0x0101a8c0, masqueradeIpv6: [0x010000fd, 0, 0, 0x01000000].map((word) => word >>> 0) },
    },
  ],
  [
    'a prefix that is not masqueraded, its host bits cleared',
    { ipv4NativeRoutingCidr: cidr('10.1.2.3/12'), ipv6NativeRoutingCidr: cidr('fd00:ffff::/20') },
    {
      node: {
        snatExclusionIpv4: { network: 0x0000000a, mask: 0x0000f0ff },
        snatExclusionIpv6: { network: [0x00f000fd, 0, 0, 0], mask: [0x00f0ffff, 0, 0, 0] },
      },
    },
  ],
  ['Maglev', { bpfLbAlgorithm: 'maglev' }, { lbSelection: 2 }],
  ['audit mode', { policyAuditMode: true }, { policyAuditMode: true }],
];

test.each(rows)('%s', (_name, flags, want) => {
  expect(datapathConfigOf(flags, BOTH, NODE)).toMatchObject(want);
});

test('a family that the cluster does not use is not masqueraded', () => {
  const flags = { enableIpv4Masquerade: true, enableIpv6Masquerade: true };
  expect(datapathConfigOf(flags, { ipv4: true, ipv6: false }, NODE.slice(0, 1))).toMatchObject({
    ...{ masqueradeIpv4: true, masqueradeIpv6: DEFAULT_CONFIG.masqueradeIpv6 },
  });
});

test('without both families there is nothing to do', () => {
  expect(familiesOf(new ObjectStore(), { enableIpv6: true })).toEqual(BOTH);
  expect(familiesOf(new ObjectStore(), { enableIpv4: false, enableIpv6: true })).toEqual({ ipv4: false, ipv6: true });
  const neither = () => familiesOf(new ObjectStore(), { enableIpv4: false });
  expect(neither).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
});

// Valid texts, and shorthands for texts with one thing wrong in them.

/** A CiliumNetworkPolicy whose spec starts on line 6, indented by two. */
export const cnp = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: p\nspec:\n${spec}`;

/** A CiliumNetworkPolicy with one ingress entry, of which the first line is line 8, to be indented by four. */
export const ingress = (entry: string): string => cnp(`  endpointSelector: {}\n  ingress:\n${entry}`);

/** A NetworkPolicy whose spec starts on line 5, indented by two. */
export const netpol = (spec: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n${spec}`;

/** A Pod; what is given stands on line 5 and below, before a status. */
export const pod = (more: string): string =>
  `apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-1\n${more}\nstatus: {podIP: 10.0.0.1}\n`;

/** A Service whose spec is on line 4 and below, indented by two. */
export const service = (spec: string): string => `apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n${spec}`;

/** @param endpoint in one line */
export const slices = (family: string, endpoint: string): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: ${family}
endpoints:
  - ${endpoint}
ports: [{port: 80}]
`;

/** One of everything that can be decoded. */
export const everything = `# comment
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  uid: 00000000-0000-0000-0000-000000000000
  labels: {kubernetes.io/metadata.name: shop}
spec: {finalizers: [kubernetes]}
status: {phase: Active}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  labels:
    app: web
  annotations:
    kubectl.kubernetes.io/restartedAt: "2025-05-01"
spec:
  nodeName: node-1
  serviceAccount: seller
  containers:
    - name: nginx
      image: nginx:1.27
      ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
      resources: {limits: {cpu: 100m}}
  volumes: []
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  podIP: 10.0.1.7
  podIPs: [{ip: 10.0.1.7}]
  hostIP: 192.168.1.1
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: &labels {app: web}}
spec:
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7]
  sessionAffinity: None
  ipFamilies: [IPv4]
  selector: *labels
  ports:
    - {name: http, port: 80, targetPort: http}
    - {name: dns, port: 53, protocol: UDP}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {}
          namespaceSelector:
            matchExpressions: [{key: team, operator: In, values: [a, b]}]
        - namespaceSelector: {}
      ports: [{port: 80}, {protocol: UDP}]
    - {}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: cnp
  namespace: shop
spec:
  description: who may buy
  endpointSelector:
    matchLabels: {"k8s:app": web}
  ingress:
    - fromEndpoints:
        - matchLabels: {app: client}
        - {}
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
            - {port: "8080", protocol: tcp}
          rules:
            http:
              - {method: GET, path: "/items/.*"}
    - fromEntities: [cluster, remote-node]
      toPorts: [{ports: []}, {}]
    - fromEndpoints: []
specs:
  - endpointSelector: {matchExpressions: [{key: "reserved:init", operator: Exists}]}
    ingress: []
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: ccnp}
spec:
  nodeSelector: {matchLabels: {a: b}}
  enableDefaultDeny: {egress: false}
  labels: ["k8s:team=a", {key: b, value: c, source: k8s}]
  log: {value: seen}
  ingressDeny:
    - fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {cidrGroupRef: offices}]
      fromRequires: [{}]
      icmps: [{fields: [{family: IPv6, type: EchoRequest}, {type: 8}]}]
  egress:
    - toFQDNs: [{matchPattern: "*.io"}]
      toServices: [{k8sService: {serviceName: a, namespace: b}}, {k8sServiceSelector: {selector: {}}}]
      toGroups: [{aws: {region: x}}]
      authentication: {mode: required}
      toPorts:
        - ports: [{port: http, protocol: ANY}, {port: "1", endPort: 9}]
          serverNames: [a.io]
          listener: {name: l, priority: 5, envoyConfig: {kind: CiliumEnvoyConfig, name: e}}
          originatingTLS: {secret: {name: s}, trustedCA: ca}
          rules:
            kafka: [{role: produce, topic: t}]
            l7proto: p
            l7: [{cmd: get}]
            dns: [{matchName: a.io}]
            http: [{headers: [X], headerMatches: [{mismatch: LOG, name: x-a, secret: {name: s}}]}]
---
apiVersion: cilium.io/v2alpha1
kind: CiliumCIDRGroup
metadata: {name: offices, labels: {kind: office}}
spec: {externalCIDRs: [192.0.2.0/24]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.1.7]}]
ports: []
---
apiVersion: v1
kind: Node
metadata: {name: worker, labels: {tier: db}}
spec: {podCIDR: 10.0.0.0/24}
status:
  addresses: [{type: InternalIP, address: 192.168.0.2}, {type: Hostname, address: worker}, {type: ExternalIP, address: "2001:db8::2"}]
---
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: {name: worker}
spec:
  addresses: [{type: CiliumInternalIP, ip: 10.0.0.1}]
  health: {ipv4: 10.0.0.2}
  ingress: {ipv4: 10.0.0.3, ipv6: "fd00::3"}
  nodeidentity: 1
  ipam: {podCIDRs: [10.0.0.0/24]}
`;

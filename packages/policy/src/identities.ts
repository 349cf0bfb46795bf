/** Numeric identity of the node that the endpoint runs on, `reserved:host`. Source: pkg/identity/numericidentity.go. */
export const HOST_IDENTITY = 1;
/** In a key of the map state: every identity. */
export const ANY_IDENTITY = 0;

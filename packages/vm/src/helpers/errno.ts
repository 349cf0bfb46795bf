/** What helpers answer, negative. Source: include/uapi/asm-generic/errno*.h; ENOTSUPP is the kernel's own. */
export const ENOENT = 2;
export const E2BIG = 7;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const ENODEV = 19;
export const EINVAL = 22;
export const EPROTO = 71;
export const EALREADY = 114;
export const ENOTSUPP = 524;

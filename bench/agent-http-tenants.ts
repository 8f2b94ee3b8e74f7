/** The tenants that load and service of the listener's bench agree on. */
export const TENANTS = 200;
export const tenantName = (i: number): string => `tenant-${String(i).padStart(4, '0')}`;

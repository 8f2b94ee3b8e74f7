/** One account's books, every minor unit moved by hand. Slow and plain; shares nothing with the ledger. */

interface OracleInvoice {
  id: number;
  total: number;
  open: number;
  void: boolean;
  /** Units that each grant paid. */
  byGrant: Map<string, number>;
}
export interface OracleGrant {
  key: string;
  rest: number;
  priority: number;
  effective: number;
  expires: number | null;
  bought: boolean;
}

export class Oracle {
  invoices: OracleInvoice[] = [];
  grants: OracleGrant[] = [];
  balance = 0;
  /** What each payment settled, in order; null is the balance. */
  payments = new Map<string, { settled: number[]; left: number }>();
  books = { cash: 0, revenue: 0, tax: 0, promotion: 0, breakage: 0 };

  invoice(id: number, net: number, tax: number, at: number): void {
    this.books.revenue -= net;
    this.books.tax -= tax;
    const made: OracleInvoice = { id, total: net + tax, open: 0, void: false, byGrant: new Map() };
    this.invoices.push(made);
    for (let unit = 0; unit < net + tax; unit++) {
      const grant = this.paying(at);
      if (grant !== undefined) {
        grant.rest--;
        made.byGrant.set(grant.key, (made.byGrant.get(grant.key) ?? 0) + 1);
      } else if (this.balance > 0) this.balance--;
      else made.open++;
    }
    for (let unit = 0; unit > net + tax; unit--) this.balance++;
  }

  private paying(at: number): OracleGrant | undefined {
    const end = (grant: OracleGrant): number => grant.expires ?? Number.POSITIVE_INFINITY;
    let best: OracleGrant | undefined;
    for (const grant of this.grants) {
      if (grant.rest === 0 || grant.effective > at || end(grant) <= at) continue;
      const rank = (g: OracleGrant): (number | string)[] => [g.priority, end(g), g.effective, g.key];
      const [a, b] = [rank(grant), best === undefined ? [] : rank(best)];
      const first = a.findIndex((part, i) => part !== b[i]);
      if (best === undefined || (a[first] as number) < (b[first] as number)) best = grant;
    }
    return best;
  }

  pay(reference: string, amount: number, named: number | null): void {
    this.books.cash += amount;
    const settled: number[] = [];
    for (let unit = 0; unit < amount; unit++) {
      const open = this.invoices.find((one) => one.open > 0 && (named === null || one.id === named));
      if (open === undefined) this.balance++;
      else {
        open.open--;
        settled.push(open.id);
      }
    }
    if (named === null) this.settle(amount - settled.length);
    this.payments.set(reference, { settled, left: amount });
  }

  /** Of the balance that was there before: `fresh` came just now, and has settled what it could. */
  private settle(fresh: number): void {
    while (this.balance > fresh) {
      const open = this.invoices.find((one) => one.open > 0);
      if (open === undefined) return;
      open.open--;
      this.balance--;
    }
  }

  /** False: there is not enough. */
  refund(amount: number, reference: string | null): boolean {
    const payment = reference === null ? undefined : this.payments.get(reference);
    const reopened = Math.max(0, amount - this.balance);
    if (payment === undefined ? reopened > 0 : amount > payment.left || reopened > payment.settled.length) return false;
    this.books.cash -= amount;
    this.balance -= amount - reopened;
    for (let unit = 0; unit < reopened; unit++) {
      const id = payment?.settled.pop();
      const invoice = this.invoices.find((one) => one.id === id);
      if (invoice !== undefined) invoice.open++;
    }
    if (payment !== undefined) payment.left -= amount;
    return true;
  }

  credit(id: number, net: number, tax: number): void {
    this.books.revenue += net;
    this.books.tax += tax;
    const invoice = this.invoices.find((one) => one.id === id);
    for (let unit = 0; unit < net + tax; unit++) {
      if (invoice !== undefined && invoice.open > 0) invoice.open--;
      else this.balance++;
    }
  }

  void(id: number, net: number, tax: number, note: number): void {
    const invoice = this.invoices.find((one) => one.id === id) as OracleInvoice;
    this.books.revenue += net;
    this.books.tax += tax;
    let back = net + tax - invoice.open;
    for (const [key, used] of invoice.byGrant) {
      for (const grant of this.grants) if (grant.key === key) grant.rest += used;
      back -= used;
    }
    this.balance += back;
    const owed = Math.max(0, -this.balance);
    this.balance += owed;
    this.invoices.push({ id: note, total: owed, open: owed, void: true, byGrant: new Map() });
    invoice.open = 0;
    invoice.void = true;
  }

  grant(grant: OracleGrant): void {
    this.grants.push(grant);
    this.books[grant.bought ? 'cash' : 'promotion'] += grant.rest;
  }

  end(key: string, how: 'expiry' | 'void'): void {
    const grant = this.grants.find((one) => one.key === key) as OracleGrant;
    if (!grant.bought) this.books.promotion -= grant.rest;
    else if (how === 'expiry') this.books.breakage -= grant.rest;
    else this.balance += grant.rest;
    grant.rest = 0;
  }
}

export interface Operations {
  'GET /healthz': { answer: { status: string } };
}

export { csvText } from '../domain/csv.ts';

/**
 * TypeScript types of every operation, from the OpenAPI description the routes make. Ours and not a generator's, because
 * the description is our own and uses a tenth of what JSON Schema can say; what it does not know throws here.
 */
interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  patternProperties?: Record<string, Schema>;
}
interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: Schema;
}
interface Operation {
  parameters?: Parameter[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { content?: Record<string, { schema?: Schema }> }>;
}
export interface OpenApi {
  paths?: Record<string, Record<string, Operation>>;
}

const quoted = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`);
const literal = (value: unknown): string =>
  typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : String(value);

const objectType = (s: Schema): string => {
  const fields = Object.entries(s.properties ?? {}).map(
    ([name, field]) => `${quoted(name)}${s.required?.includes(name) ? '' : '?'}: ${typeOf(field)}`,
  );
  const rest = s.patternProperties ? Object.values(s.patternProperties)[0] : s.additionalProperties;
  if (typeof rest === 'object') fields.push(`[name: string]: ${typeOf(rest)}`);
  else if (fields.length === 0) return 'Record<string, unknown>';
  return `{ ${fields.join('; ')} }`;
};

const single = (type: string, s: Schema): string => {
  switch (type) {
    case 'string':
      return 'string';
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'null':
      return 'null';
    case 'array':
      return `readonly (${typeOf(s.items ?? {})})[]`;
    case 'object':
      return objectType(s);
    default:
      throw new Error(`a schema of type ${type} has no type here`);
  }
};

const typeOf = (s: Schema): string => {
  if (s.enum) return s.enum.map(literal).join(' | ');
  if (s.const !== undefined) return literal(s.const);
  if (s.anyOf) return s.anyOf.map(typeOf).join(' | ');
  if (s.type === undefined) return s.properties ? objectType(s) : 'unknown';
  return [s.type]
    .flat()
    .map((type) => single(type, s))
    .join(' | ');
};

const parametersType = (parameters: Parameter[], place: string): string | null => {
  const own = parameters.filter((p) => p.in === place);
  if (own.length === 0) return null;
  const optional = own.every((p) => !p.required);
  const fields = own.map(
    (p) => `${quoted(p.name)}${p.required ? '' : '?'}: ${typeOf(p.schema)}${p.required ? '' : ' | undefined'}`,
  );
  return `${place === 'path' ? 'params' : 'query'}${optional ? '?' : ''}: { ${fields.join('; ')} }`;
};

const jsonOf = (content: Record<string, { schema?: Schema }> | undefined): Schema | undefined =>
  content?.['application/json']?.schema;

const operationType = (operation: Operation): string => {
  const parts = [
    parametersType(operation.parameters ?? [], 'path'),
    parametersType(operation.parameters ?? [], 'query'),
  ];
  const body = jsonOf(operation.requestBody?.content);
  if (body) parts.push(`body: ${typeOf(body)}`);
  const success = Object.entries(operation.responses ?? {}).find(([status]) => status.startsWith('2'));
  const answer = jsonOf(success?.[1].content);
  parts.push(`answer: ${success?.[0] === '204' ? 'undefined' : answer ? typeOf(answer) : 'unknown'}`);
  return `{ ${parts.filter((p) => p !== null).join('; ')} }`;
};

/** The text of packages/client/src/generated.ts, before formatting. */
export const clientTypes = (description: OpenApi): string => {
  const lines = Object.entries(description.paths ?? {})
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, operation }) => `  '${name}': ${operationType(operation)};`);
  return [
    '// biome-ignore-all format: generated',
    "/** Made from the server's OpenAPI description by packages/server/bin/generate.js; do not edit. */",
    'export interface Operations {',
    ...lines,
    '}',
    '',
  ].join('\n');
};

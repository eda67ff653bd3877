// Validates answers against Okta's own description of its API (Swagger 2.0) and prints how many entries were valid:
// okta_openapi.mjs URL TOKEN GROUP_ID
import { createRequire } from "node:module";
import Ajv from "ajv";

const [orgUrl, token, groupId] = process.argv.slice(2);
const description = createRequire(import.meta.url)("@okta/openapi");

// A property that is not described is one too many, but where organizations add their own.
const strict = (schema) => {
  for (const definition of Object.values(schema)) {
    if (definition.properties && !definition["x-okta-extensible"]) definition.additionalProperties = false;
  }
  return schema;
};
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: "okta", definitions: strict(description.definitions) });

const counts = {};
for (const path of ["/api/v1/users", "/api/v1/groups", "/api/v1/groups/{groupId}/users"]) {
  const { schema } = description.paths[path].get.responses["200"];
  const valid = ajv.compile({ type: "array", items: { $ref: `okta${schema.items.$ref}` } });
  const url = orgUrl + path.replace("{groupId}", encodeURIComponent(groupId));
  const answer = await fetch(url, { headers: { authorization: `SSWS ${token}` } });
  const entries = await answer.json();
  if (!valid(entries)) throw new Error(`${path}: ${ajv.errorsText(valid.errors)}`);
  counts[path] = entries.length;
}
console.log(JSON.stringify(counts));

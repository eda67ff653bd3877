// Reads everything with Microsoft's own clients and prints it as JSON: entra.mjs URL TENANT APPLICATION (SECRET or PEM file) [LINK]
import { ClientCertificateCredential, ClientSecretCredential } from "@azure/identity";
import { Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { TokenCredentialAuthenticationProvider } from "@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js";

const [url, tenant, application, proof, link] = process.argv.slice(2);
const options = { authorityHost: url, disableInstanceDiscovery: true };
const credential = proof.endsWith(".pem")
  ? new ClientCertificateCredential(tenant, application, { certificatePath: proof }, options)
  : new ClientSecretCredential(tenant, application, proof, options);
const authProvider = new TokenCredentialAuthenticationProvider(credential, {
  scopes: ["https://graph.microsoft.com/.default"],
});
// The client sends its token to no other host than Microsoft's unless it is told to.
const client = Client.initWithMiddleware({ authProvider, baseUrl: url, customHosts: new Set([new URL(url).hostname]) });

const pages = async (request) => {
  const found = [];
  const iterator = new PageIterator(client, await request.get(), (entry) => found.push(entry) > 0);
  await iterator.iterate();
  return { found, link: iterator.getDeltaLink() };
};
const all = async (path, select) => (await pages(client.api(path).select(select).top(2))).found;

if (link) {
  console.log(JSON.stringify(await pages(client.api(link))));
} else {
  const select = "id,mail,userPrincipalName,accountEnabled";
  const users = await all("/users", select);
  const deleted = await all("/directory/deletedItems/microsoft.graph.user", "id,mail");
  const groups = await all("/groups", "id,displayName");
  for (const group of groups) {
    group.members = await all(`/groups/${group.id}/members`, "id");
    group.everybody = await all(`/groups/${group.id}/transitiveMembers`, "id");
  }
  const changes = await pages(client.api("/users/delta").select(select));
  const latest = await pages(client.api("/users/delta").select("id").query({ $deltatoken: "latest" }));
  const missing = await client.api(`/groups/${tenant}/members`).get().catch((error) => error);
  console.log(
    JSON.stringify({ users, deleted, groups, changes, latest, missing: { status: missing.statusCode, code: missing.code } }),
  );
}

// Reads everything with Okta's own client and prints it as JSON: okta.mjs URL TOKEN, or okta.mjs URL CLIENT_ID JWK
import okta from "@okta/okta-sdk-nodejs";

const [orgUrl, tokenOrId, privateKey] = process.argv.slice(2);
const application = {
  authorizationMode: "PrivateKey",
  clientId: tokenOrId,
  scopes: ["okta.users.read", "okta.groups.read"],
  privateKey,
};
const credentials = privateKey ? application : { token: tokenOrId };
// The played organization speaks plain HTTP on this machine.
const client = new okta.Client({ orgUrl, ...credentials, testing: { disableHttpsCheck: true } });

const all = async (collection) => {
  const found = [];
  await collection.each((entry) => found.push(entry));
  return found;
};

const people = [
  ...(await all(await client.userApi.listUsers({ limit: 2 }))),
  ...(await all(await client.userApi.listUsers({ filter: 'status eq "DEPROVISIONED"', limit: 2 }))),
];
const groups = await all(await client.groupApi.listGroups({ limit: 2 }));
const told = { users: [], groups: [] };
for (const user of people) {
  told.users.push({ id: user.id, status: user.status, email: user.profile.email });
}
for (const group of groups) {
  const members = await all(await client.groupApi.listGroupUsers({ groupId: group.id, limit: 2 }));
  told.groups.push({ id: group.id, name: group.profile.name, members: members.map((member) => member.id) });
}
console.log(JSON.stringify(told));

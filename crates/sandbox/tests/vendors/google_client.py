"""Reads everything with Google's own client and prints it as JSON: google_client.py URL KEY_FILE ADMIN DOMAIN"""

import json
import sys

from google.oauth2 import service_account
from googleapiclient.discovery import build

url, key_file, admin, domain = sys.argv[1:]
scopes = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
]
credentials = service_account.Credentials.from_service_account_file(key_file, scopes=scopes, subject=admin)
# The discovery document is the one that comes with the client; only the address is another.
directory = build(
    "admin", "directory_v1", credentials=credentials, client_options={"api_endpoint": url}, static_discovery=True
)


def everything(collection, name, **arguments):
    found = []
    request = collection.list(**arguments)
    while request is not None:
        answer = request.execute()
        found += answer.get(name, [])
        request = collection.list_next(request, answer)
    return found


users = everything(directory.users(), "users", domain=domain, maxResults=2)
deleted = everything(
    directory.users(), "users", domain=domain, maxResults=2, showDeleted="true",
    fields="nextPageToken,users(id,primaryEmail,deletionTime)",
)
groups = everything(directory.groups(), "groups", customer="my_customer", maxResults=2)
for group in groups:
    group["members"] = everything(directory.members(), "members", groupKey=group["id"], maxResults=2)
print(json.dumps({"users": users, "deleted": deleted, "groups": groups}))

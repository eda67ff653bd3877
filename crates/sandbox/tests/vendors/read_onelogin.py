"""Reads everything with OneLogin's own client and prints it as JSON: read_onelogin.py URL CLIENT_ID CLIENT_SECRET"""

import json
import sys
import urllib.parse

import onelogin
from onelogin.api.o_auth2_api import OAuth2Api
from onelogin.api.roles_api import RolesApi
from onelogin.api.users_v2_api import UsersV2Api

FIELDS = "id,email,username,status,role_ids"

url, client_id, client_secret = sys.argv[1:]
configuration = onelogin.Configuration(host=url, username=client_id, password=client_secret)


def everything(page_of, **arguments):
    """From page to page by the cursors in the headers, as "Using Query Parameters" tells."""
    answer = page_of(limit=2, **arguments)
    found = list(answer.data)
    while cursor := answer.headers.get("After-Cursor"):
        answer = page_of(cursor=urllib.parse.unquote(cursor), **arguments)
        found += answer.data
    return found, int(answer.headers["Total-Count"])


with onelogin.ApiClient(configuration) as client:
    request = onelogin.GenerateTokenRequest(grant_type="client_credentials")
    credentials = f"client_id:{client_id}, client_secret:{client_secret}"
    token = OAuth2Api(client).generate_token(request, _headers={"Authorization": credentials})
    configuration.access_token = token.access_token
    users, user_count = everything(UsersV2Api(client).list_users2_with_http_info, fields=FIELDS)
    roles, role_count = everything(RolesApi(client).list_roles_with_http_info)

print(json.dumps({
    "counts": [user_count, role_count],
    "users": [
        {"id": user.id, "email": user.email, "name": user.username, "status": user.status, "roles": user.role_ids}
        for user in users
    ],
    "roles": [{"id": role.id, "name": role.name} for role in roles],
}))

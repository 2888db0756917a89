"""Users, groups and directory objects in Microsoft Graph, and the queries on collections."""

from typing import Any
from uuid import uuid4

import pytest
from msgraph.generated.directory_objects.get_by_ids.get_by_ids_post_request_body import GetByIdsPostRequestBody

from tests.engine.localazure.graph import OF_THE_SDK, GraphClients, refusal
from tests.engine.localazure.sdk import fresh_name

pytestmark = OF_THE_SDK


async def find(graph: GraphClients, path: str, *, eventual: bool = False) -> Any:
    """The JSON of a collection over plain HTTP."""
    answer = await graph.ask("GET", path, headers={"ConsistencyLevel": "eventual"} if eventual else {})
    return answer.json() if answer.status_code == 200 else answer.json()["error"]["code"]


async def test_people_are_found_by_the_names_that_settings_use(graph: GraphClients) -> None:
    """A guest is found by mail: the user principal name is not what anybody knows."""
    users = (await graph.sdk()).users
    # Here, because these modules warn of themselves when they are imported, which only tests are marked for.
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder

    async def search(text: str) -> list[str]:
        parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
            filter=text, select=["id", "userType", "mailNickname"]
        )
        found = await users.get(request_configuration=RequestConfiguration(query_parameters=parameters))
        return [each.mail_nickname for each in found.value]

    assert await search("userPrincipalName eq 'ada@contoso.example'") == ["ada"]
    assert await search("userPrincipalName eq 'ADA@contoso.example'") == ["ada"]
    assert await search("mail eq 'grace@partner.example'") == ["guest"]
    assert await search("userPrincipalName eq 'grace@partner.example'") == []
    assert await search("userPrincipalName eq 'grace_partner.example#EXT#@contoso.example'") == ["guest"]
    assert await search("displayName eq 'O''Hara'") == []
    assert await search("startsWith(displayName, 'Ada ')") == ["ada"]
    assert await search("userType eq 'Guest' and accountEnabled eq true") == ["guest"]
    assert await search("mail in ('ada@contoso.example', 'bob@contoso.example')") in (["ada", "bob"], ["bob", "ada"])


async def test_a_user_is_read_by_id_and_by_name(graph: GraphClients) -> None:
    """Without $select Graph returns a few properties: who needs more must select them."""
    users, ada = (await graph.sdk()).users, graph.azure.identities["ada"]
    by_id = await users.by_user_id(ada["objectId"]).get()
    assert (by_id.display_name, by_id.user_principal_name, by_id.user_type) == (
        "Ada Lovelace",
        "ada@contoso.example",
        None,
    )
    assert (await users.by_user_id("ada@contoso.example").get()).id == ada["objectId"]
    assert (await refusal(users.by_user_id(str(uuid4())).get())).code == "Request_ResourceNotFound"
    assert (await refusal(users.by_user_id(ada["objectId"]).manager.get())).status == 404
    selected = (await graph.ask("GET", f"/users/{ada['objectId']}?$select=userType,id")).json()
    assert (selected["userType"], selected["id"]) == ("Member", ada["objectId"])
    assert "displayName" not in selected


async def test_no_password_is_ever_shown(graph: GraphClients) -> None:
    """Tests and tools have it from identities.json."""
    password = graph.azure.identities["ada"]["password"]
    for path in ("/users", "/users/ada@contoso.example", f"/users?$select={'displayName'}"):
        assert password not in (await graph.ask("GET", path)).text


async def test_groups_have_their_members(graph: GraphClients) -> None:
    """Direct ones."""
    client, identities = await graph.sdk(), graph.azure.identities
    operators = client.groups.by_group_id(identities["Temporal Operators"]["objectId"])
    readers = client.groups.by_group_id(identities["Temporal Readers"]["objectId"])
    assert (await operators.get()).display_name == "Temporal Operators"
    assert [each.id for each in (await operators.members.get()).value] == [identities["bob"]["objectId"]]
    assert (await readers.members.get()).value == []
    assert (await readers.owners.get()).value == []
    bob = client.users.by_user_id(identities["bob"]["objectId"])
    assert [each.id for each in (await bob.member_of.get()).value] == [identities["Temporal Operators"]["objectId"]]
    found = await find(graph, "/groups?$filter=displayName eq 'Temporal Operators' and securityEnabled eq true")
    assert [each["id"] for each in found["value"]] == [identities["Temporal Operators"]["objectId"]]
    assert (await refusal(client.groups.by_group_id(str(uuid4())).get())).status == 404


async def test_directory_objects_are_found_by_ids(graph: GraphClients) -> None:
    """A program that is given an id asks what kind of thing it is."""
    client, identities = await graph.sdk(), graph.azure.identities
    ids = [identities[name]["objectId"] for name in ("ada", "Temporal Readers", "deployer")]

    async def kinds(*types: str) -> list[str]:
        body = GetByIdsPostRequestBody(ids=[*ids, str(uuid4())], types=list(types) or None)
        return [type(each).__name__ for each in (await client.directory_objects.get_by_ids.post(body)).value]

    assert await kinds() == ["User", "Group", "ServicePrincipal"]
    assert await kinds("group") == ["Group"]
    last = graph.azure.requests()[-1]
    assert (last["path"].endswith("getByIds"), last["write"]) == (True, False)
    one = client.directory_objects.by_directory_object_id(identities["Temporal Readers"]["objectId"])
    assert (await one.get()).odata_type == "#microsoft.graph.group"
    unknown = client.directory_objects.by_directory_object_id(str(uuid4()))
    assert (await refusal(unknown.get())).status == 404


async def test_a_collection_is_read_page_by_page(graph: GraphClients) -> None:
    """Who ignores @odata.nextLink sees the first hundred."""
    tag = fresh_name()
    made = {(await graph.application(tags=[tag])).id for _ in range(3)}
    path = f"/applications?$filter=tags/any(t:t eq '{tag}')&$top=2&$select=id"
    first = await find(graph, path)
    assert len(first["value"]) == 2
    second = await find(graph, first["@odata.nextLink"].removeprefix(graph.base))
    assert "@odata.nextLink" not in second
    assert {each["id"] for each in first["value"] + second["value"]} == made


async def test_counting_and_advanced_queries_need_their_header(graph: GraphClients) -> None:
    """Graph refuses them otherwise: a program that forgot the header must fail here, too."""
    tag = fresh_name()
    made = await graph.application(tags=[tag, "other"])
    tagged = f"/applications?$filter=tags/any(t:t eq '{tag}')"
    assert [each["id"] for each in (await find(graph, tagged))["value"]] == [made.id]
    counted = await find(graph, f"{tagged}&$count=true", eventual=True)
    assert counted["@odata.count"] == 1
    assert "@odata.count" not in await find(graph, f"{tagged}&$count=true")
    others = f"/applications?$filter=displayName ne '{made.display_name}' and not(appId eq '{made.app_id}')"
    assert await find(graph, others) == "Request_UnsupportedQuery"
    assert await find(graph, f"{others}&$count=true") == "Request_UnsupportedQuery"
    found = await find(graph, f"{others}&$count=true", eventual=True)
    assert made.id not in {each["id"] for each in found["value"]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$filter=streetAddress eq 'x'", "Request_UnsupportedQuery"),
        ("$filter=displayName eq", "BadRequest"),
        ("$filter=displayName like 'x'", "BadRequest"),
        ("$filter=displayName eq 'x' displayName", "BadRequest"),
        ('$filter=displayName eq "x"', "BadRequest"),
        ("$filter=(displayName eq 'x'", "BadRequest"),
        ("$select=noSuchProperty", "Request_BadRequest"),
        ("$top=1000", "Request_BadRequest"),
        ("$top=many", "Request_BadRequest"),
        ("$expand=manager", "NotImplemented"),
        ("$orderby=displayName", "NotImplemented"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(graph: GraphClients, query: str, code: str) -> None:
    """Ignored, it would return everything where little was asked for."""
    assert await find(graph, f"/users?{query}") == code


async def test_filters_combine(graph: GraphClients) -> None:
    """and binds closer than or."""
    names = "startsWith(displayName,'Bob') and userType eq 'Guest' or mail eq 'ada@contoso.example'"
    assert [each["displayName"] for each in (await find(graph, f"/users?$filter={names}"))["value"]] == ["Ada Lovelace"]
    grouped = "startsWith(displayName,'Ada') and (userType eq 'Guest' or mail eq 'ada@contoso.example')"
    assert len((await find(graph, f"/users?$filter={grouped}"))["value"]) == 1
    assert (await find(graph, "/users?$filter=mail eq null"))["value"] == []


async def test_another_tenant_is_not_seen(graph: GraphClients) -> None:
    """The stranger is in the same directory of documents, and in no answer."""
    stranger = graph.azure.identities["stranger"]
    assert stranger["tenantId"] == graph.azure.other_tenant_id != graph.azure.tenant_id
    client = await graph.sdk()
    assert (await refusal(client.service_principals_with_app_id(stranger["clientId"]).get())).status == 404
    assert (await refusal(client.applications_with_app_id(stranger["clientId"]).get())).status == 404
    by_id = client.service_principals.by_service_principal_id(stranger["objectId"])
    assert (await refusal(by_id.get())).status == 404
    assert stranger["clientId"] not in (await graph.ask("GET", "/applications?$top=999")).text

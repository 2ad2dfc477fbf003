-- Asks Countersign whether a request may pass. haproxy.cfg says where, and with which rule.
local VERIFY = "http://127.0.0.1:8080/verify?"
-- The key of this proxy, for a Countersign that does not trust its address: { "Bearer csk_…" }
local CALLER = nil
local IDENTITY = { "x-countersign-subject", "x-countersign-session", "x-countersign-scopes", "x-countersign-roles" }

local function first(headers, name)
  return headers and headers[name] and headers[name][0] or ""
end

local function refuse(txn, status, answer)
  local reply = txn:reply()
  reply:set_status(status)
  for _, name in ipairs({ "www-authenticate", "retry-after", "content-type" }) do
    local value = first(answer and answer.headers, name)
    if value ~= "" then reply:add_header(name, value) end
  end
  reply:set_body(answer and answer.body or "")
  txn:done(reply)
end

local function ask(txn, rule)
  local client = txn.http:req_get_headers()
  local answer = core.httpclient():get({
    url = VERIFY .. (rule or ""),
    headers = {
      -- All values, since two are refused.
      ["authorization"] = client["authorization"],
      ["x-api-key"] = client["x-api-key"],
      ["x-forwarded-for"] = { txn.f:src() },
      ["x-countersign-caller"] = CALLER,
    },
    timeout = 1000,
  })
  local status = answer and answer.status or 0
  if status == 401 or status == 403 or status == 429 then return refuse(txn, status, answer) end
  -- Nothing but 200 lets a request pass; an outage is a 503, which clients may repeat.
  if status ~= 200 then return refuse(txn, 503) end

  txn.http:req_del_header("x-api-key")
  txn.http:req_del_header("authorization")
  local token = first(answer.headers, "authorization")
  if token ~= "" then txn.http:req_set_header("authorization", token) end
  for _, name in ipairs(IDENTITY) do
    txn.http:req_set_header(name, first(answer.headers, name))
  end
end

core.register_action("countersign", { "http-req" }, ask, 1)
core.register_action("countersign_any", { "http-req" }, ask)

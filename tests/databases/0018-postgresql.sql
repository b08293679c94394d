CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.attachments (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    conversation_id uuid,
    blob_id uuid NOT NULL,
    filename character varying NOT NULL,
    media_type character varying NOT NULL,
    size_bytes bigint DEFAULT '0'::bigint NOT NULL,
    width integer,
    height integer,
    pages integer,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.audit (
    id uuid NOT NULL,
    user_id uuid,
    action character varying NOT NULL,
    address character varying,
    detail json NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.blobs (
    id uuid NOT NULL,
    file_id character varying,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.calls (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    conversation_id uuid,
    generation_id uuid,
    purpose character varying NOT NULL,
    model character varying NOT NULL,
    request_id character varying,
    outcome character varying(32) NOT NULL,
    input_tokens bigint DEFAULT '0'::bigint NOT NULL,
    output_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cache_read_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cache_write_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cache_write_1h_tokens bigint DEFAULT '0'::bigint NOT NULL,
    amount bigint,
    prices character varying NOT NULL,
    day date NOT NULL,
    created_at timestamp with time zone NOT NULL,
    estimated boolean DEFAULT false NOT NULL,
    web_searches bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.conversation_changes (
    owner_id uuid NOT NULL,
    sequence integer NOT NULL,
    kind character varying(32) NOT NULL,
    conversation_id uuid NOT NULL,
    generation_id uuid,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.conversations (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    title character varying,
    system_prompt text,
    model character varying NOT NULL,
    archived boolean NOT NULL,
    pinned boolean NOT NULL,
    active_leaf_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    input_tokens bigint DEFAULT '0'::bigint NOT NULL,
    output_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cache_read_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cache_write_tokens bigint DEFAULT '0'::bigint NOT NULL,
    amount bigint DEFAULT '0'::bigint,
    options json DEFAULT '{}'::json NOT NULL,
    temporary boolean DEFAULT false NOT NULL,
    tools json DEFAULT '{}'::json NOT NULL
);
CREATE TABLE public.generations (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    status character varying NOT NULL,
    model character varying NOT NULL,
    options json NOT NULL,
    sequence integer NOT NULL,
    stop_reason character varying,
    error json,
    request_id character varying,
    prefix character varying,
    input_tokens integer,
    output_tokens integer,
    cache_read_tokens integer,
    cache_write_tokens integer,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    first_token_at timestamp with time zone,
    finished_at timestamp with time zone,
    holder uuid,
    lease_until timestamp with time zone,
    stop_requested boolean DEFAULT false NOT NULL,
    waits_for uuid,
    amount bigint,
    left_out json DEFAULT '{}'::json NOT NULL,
    reserved bigint,
    context_tokens integer,
    tools_expire_at timestamp with time zone,
    CONSTRAINT generations_status CHECK (((status)::text = ANY ((ARRAY['queued'::character varying, 'running'::character varying, 'awaiting_tool_results'::character varying, 'completed'::character varying, 'stopped'::character varying, 'failed'::character varying])::text[])))
);
CREATE TABLE public.idempotency_keys (
    owner_id uuid NOT NULL,
    key character varying NOT NULL,
    fingerprint character varying NOT NULL,
    generation_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.message_words (
    message_id uuid NOT NULL,
    words tsvector NOT NULL
);
CREATE TABLE public.messages (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    parent_id uuid,
    role character varying NOT NULL,
    depth integer NOT NULL,
    content json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT messages_role CHECK (((role)::text = ANY ((ARRAY['user'::character varying, 'assistant'::character varying])::text[])))
);
CREATE TABLE public.personal_tokens (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    label character varying NOT NULL,
    digest character varying NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.reservations (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    amount bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.search_rebuilds (
    version integer NOT NULL,
    after uuid,
    finished boolean NOT NULL
);
CREATE TABLE public.sign_ins (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    rotation bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    rotated_at timestamp with time zone
);
CREATE TABLE public.spending (
    day date NOT NULL,
    shard smallint NOT NULL,
    amount bigint NOT NULL
);
CREATE TABLE public.tool_calls (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    tool_use_id character varying NOT NULL,
    name character varying NOT NULL,
    status character varying(32) NOT NULL,
    asks_first boolean NOT NULL,
    answer json,
    fingerprint character varying,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone
);
CREATE TABLE public.users (
    id uuid NOT NULL,
    name character varying NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changes integer DEFAULT 0 NOT NULL,
    password_hash character varying,
    issuer character varying,
    subject character varying,
    name_skeleton character varying
);
INSERT INTO public.alembic_version VALUES ('0018');
INSERT INTO public.attachments VALUES ('01a2246e-1084-7759-90e2-042238dc823a', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-107f-72e9-8b9f-58e8beda6d9e', 'report.pdf', 'application/pdf', 586, NULL, NULL, 1, '2026-11-28 23:12:02.692722+00');
INSERT INTO public.audit VALUES ('01a2246d-b88f-733c-a064-61b5da5e51d0', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'registered', '127.0.0.1', '{}', '2026-11-28 23:11:40.175398+00');
INSERT INTO public.audit VALUES ('01a2246d-b899-7548-b20b-770f8997facd', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'signed_in', '127.0.0.1', '{}', '2026-11-28 23:11:40.18587+00');
INSERT INTO public.audit VALUES ('01a2246d-f5c0-7416-8a84-971af240690b', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'token_created', NULL, '{"token":"01a2246d-f5b0-74bd-9bd0-c79585c3a06f"}', '2026-11-28 23:11:55.840302+00');
INSERT INTO public.audit VALUES ('01a2246e-20ac-7700-9219-45575c2bcd3b', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'exported', '127.0.0.1', '{"conversations":"01a2246e-08b2-7210-8c9f-2c7cb4736e42"}', '2026-11-28 23:12:06.828047+00');
INSERT INTO public.audit VALUES ('01a2246e-230a-739b-9445-0ec74c88c979', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'exported', '127.0.0.1', '{"conversations":"01a2246e-0d4b-7604-a817-df752c7d6dfd"}', '2026-11-28 23:12:07.434606+00');
INSERT INTO public.audit VALUES ('01a2246e-2353-72cb-af88-11e95e5e762b', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'exported', '127.0.0.1', '{"conversations":"01a2246e-10b4-72b7-924f-29bab5ef0319"}', '2026-11-28 23:12:07.507977+00');
INSERT INTO public.audit VALUES ('01a2246e-2394-76f4-ab1c-5f238ccbd01d', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'exported', '127.0.0.1', '{"conversations":"01a2246e-11d6-71f3-9bf1-0d4dea133de6"}', '2026-11-28 23:12:07.572614+00');
INSERT INTO public.blobs VALUES ('01a2246e-107f-72e9-8b9f-58e8beda6d9e', NULL, '2026-11-28 23:12:02.687803+00');
INSERT INTO public.calls VALUES ('01a2246e-0a86-75a7-b8fa-0dc4eeed69a2', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d72459f04e', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:01.158346+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-0c18-771c-bef3-e6906912ce35', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0b58-772a-9eca-b653020c617b', 'answer', 'claude-opus-5-5', 'req_scripted', 'stopped', 11, 2, 0, 0, 0, 84000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:01.560774+00', true, 0);
INSERT INTO public.calls VALUES ('01a2246e-0cf3-728d-bde0-e7e0af48fe4c', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0c67-7713-b7c6-965b0ed892c6', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:01.779611+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-0e57-70f4-899d-116b8db9349c', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246e-0d4c-709d-a53b-b517232a602e', 'answer', 'claude-opus-5-5', 'req_scripted', 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:12:02.135012+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-118d-727f-9059-79ce1f461837', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10bd-7763-a4d8-6a84882e28fe', 'answer', 'claude-opus-5-5', NULL, 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:12:02.957294+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-118d-727f-9059-79cf9ca23dc0', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10bd-7763-a4d8-6a84882e28fe', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:02.957644+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-123d-7621-ba47-e154faf1417f', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11df-7514-8013-46bca3307a42', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:03.133515+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-132b-750c-96fc-e15472243293', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12b1-741c-a730-e9c9359f872a', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:03.370932+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1417-7613-bee9-473e737ba945', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13ad-716c-a52e-5709b33808f2', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:03.606881+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-14ad-774c-858d-3689b51fa790', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146d-7368-ba71-6df45ee1fd94', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:03.757524+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1570-7204-8fb5-fc1a948c7829', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-151e-7111-a4ba-606f24d023f0', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:03.95197+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1639-73b8-afda-52ce75ecf255', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ef-7537-8aa5-8cbfb7460f14', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:04.152959+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-16df-7105-8138-1315de578efa', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1689-7048-afcd-9d6d992239ef', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:04.319499+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-179a-717e-9661-eb1a987dc4fb', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173f-74b3-aaeb-1ae1fd506b19', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:04.506703+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1884-7609-aeda-fe1961549670', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1823-7771-828c-98cdd0b6edcd', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:04.739848+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1914-702e-a718-cb5c60684601', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d6-765b-a939-3c60b4ea48c8', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:04.884612+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1a24-73a6-9ddf-4c09bbc99d94', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-19a2-7496-8a5a-0b47874b04ea', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:05.156026+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1b1f-7019-a8fd-668e242b4315', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1ab8-7764-bd08-ddb5509af060', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:05.406944+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246e-1c80-7218-b987-1314255ae9b7', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a739343cd27', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:12:05.759892+00', false, 0);
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 1, 'created', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', NULL, '2026-11-28 23:12:00.791042+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 2, 'generation_started', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d72459f04e', '2026-11-28 23:12:00.791042+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 3, 'generation_ended', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d72459f04e', '2026-11-28 23:12:01.145455+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 4, 'updated', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', NULL, '2026-11-28 23:12:01.296014+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 5, 'generation_started', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0b58-772a-9eca-b653020c617b', '2026-11-28 23:12:01.394325+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 6, 'generation_ended', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0b58-772a-9eca-b653020c617b', '2026-11-28 23:12:01.557333+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 7, 'generation_started', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0c67-7713-b7c6-965b0ed892c6', '2026-11-28 23:12:01.679871+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 8, 'generation_ended', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0c67-7713-b7c6-965b0ed892c6', '2026-11-28 23:12:01.760225+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 9, 'created', '01a2246e-0d4b-7604-a817-df752c7d6dfd', NULL, '2026-11-28 23:12:01.887436+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 10, 'generation_started', '01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246e-0d4c-709d-a53b-b517232a602e', '2026-11-28 23:12:01.887436+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 11, 'generation_ended', '01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246e-0d4c-709d-a53b-b517232a602e', '2026-11-28 23:12:02.127067+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 12, 'created', '01a2246e-10b4-72b7-924f-29bab5ef0319', NULL, '2026-11-28 23:12:02.791274+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 13, 'generation_started', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10bd-7763-a4d8-6a84882e28fe', '2026-11-28 23:12:02.791274+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 14, 'generation_ended', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10bd-7763-a4d8-6a84882e28fe', '2026-11-28 23:12:02.956431+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 15, 'created', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', NULL, '2026-11-28 23:12:03.067304+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 16, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11df-7514-8013-46bca3307a42', '2026-11-28 23:12:03.067304+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 17, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11df-7514-8013-46bca3307a42', '2026-11-28 23:12:03.128839+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 18, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12b1-741c-a730-e9c9359f872a', '2026-11-28 23:12:03.278239+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 19, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12b1-741c-a730-e9c9359f872a', '2026-11-28 23:12:03.363147+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 20, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13ad-716c-a52e-5709b33808f2', '2026-11-28 23:12:03.548923+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 21, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13ad-716c-a52e-5709b33808f2', '2026-11-28 23:12:03.60109+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 22, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146d-7368-ba71-6df45ee1fd94', '2026-11-28 23:12:03.707846+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 23, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146d-7368-ba71-6df45ee1fd94', '2026-11-28 23:12:03.750501+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 24, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-151e-7111-a4ba-606f24d023f0', '2026-11-28 23:12:03.898972+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 25, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-151e-7111-a4ba-606f24d023f0', '2026-11-28 23:12:03.947566+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 26, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ef-7537-8aa5-8cbfb7460f14', '2026-11-28 23:12:04.09897+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 27, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ef-7537-8aa5-8cbfb7460f14', '2026-11-28 23:12:04.151358+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 28, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1689-7048-afcd-9d6d992239ef', '2026-11-28 23:12:04.259561+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 29, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1689-7048-afcd-9d6d992239ef', '2026-11-28 23:12:04.315023+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 30, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173f-74b3-aaeb-1ae1fd506b19', '2026-11-28 23:12:04.440438+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 31, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173f-74b3-aaeb-1ae1fd506b19', '2026-11-28 23:12:04.504617+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 32, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1823-7771-828c-98cdd0b6edcd', '2026-11-28 23:12:04.65733+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 33, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1823-7771-828c-98cdd0b6edcd', '2026-11-28 23:12:04.720574+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 34, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d6-765b-a939-3c60b4ea48c8', '2026-11-28 23:12:04.843029+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 35, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d6-765b-a939-3c60b4ea48c8', '2026-11-28 23:12:04.873729+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 36, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-19a2-7496-8a5a-0b47874b04ea', '2026-11-28 23:12:05.0618+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 37, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-19a2-7496-8a5a-0b47874b04ea', '2026-11-28 23:12:05.151227+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 38, 'generation_started', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1ab8-7764-bd08-ddb5509af060', '2026-11-28 23:12:05.334614+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 39, 'generation_ended', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1ab8-7764-bd08-ddb5509af060', '2026-11-28 23:12:05.387172+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 40, 'created', '01a2246e-1c5a-709d-bd00-0a704e234d6a', NULL, '2026-11-28 23:12:05.737979+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 41, 'generation_started', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a739343cd27', '2026-11-28 23:12:05.737979+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 42, 'updated', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a739343cd27', '2026-11-28 23:12:05.964971+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 43, 'created', '01a2246e-1e9c-7792-af99-8234efe72c0a', NULL, '2026-11-28 23:12:06.325879+00');
INSERT INTO public.conversation_changes VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 44, 'generation_started', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1e9c-7792-af99-8237b39f5e8d', '2026-11-28 23:12:06.325879+00');
INSERT INTO public.conversations VALUES ('01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'Travel', 'Be brief.', 'claude-opus-5-5', false, true, '01a2246e-0c67-7713-b7c6-965a90b8e44b', '2026-11-28 23:12:00.690444+00', '2026-11-28 23:12:01.639156+00', 33, 16, 0, 0, 452000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246e-0d4c-709d-a53b-b516f7f3dcc9', '2026-11-28 23:12:01.86775+00', '2026-11-28 23:12:01.868426+00', 0, 0, 0, 0, 0, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246e-10bd-7763-a4d8-6a83e2b633ea', '2026-11-28 23:12:02.740433+00', '2026-11-28 23:12:02.749541+00', 11, 7, 0, 0, 184000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246e-1ab8-7764-bd08-ddb40981bdea', '2026-11-28 23:12:03.030357+00', '2026-11-28 23:12:05.304511+00', 132, 84, 0, 0, 2208000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246e-1c5a-709d-bd00-0a72ce9bf363', '2026-11-28 23:12:05.72207+00', '2026-11-28 23:12:05.72288+00', 0, 0, 0, 0, 0, '{}', false, '{"client":[{"name":"read_page","description":"Reads the page.","input_schema":{"type":"object"}}]}');
INSERT INTO public.conversations VALUES ('01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246e-1f0c-7353-9450-1fb29b0cfe0b', '2026-11-28 23:12:06.300048+00', '2026-11-28 23:12:06.412197+00', 0, 0, 0, 0, 0, '{}', false, '{}');
INSERT INTO public.generations VALUES ('01a2246e-08b3-71ad-8a49-95d72459f04e', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d658a19d50', 'completed', 'claude-opus-5-5', '{}', 8, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:00.691603+00', '2026-11-28 23:12:00.706895+00', '2026-11-28 23:12:01.001556+00', '2026-11-28 23:12:01.065258+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:10.706979+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-0b58-772a-9eca-b653020c617b', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0b57-77a0-a67e-125f02574dc4', 'stopped', 'claude-opus-5-5', '{}', 4, NULL, 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 2, NULL, NULL, '2026-11-28 23:12:01.368076+00', '2026-11-28 23:12:01.369961+00', '2026-11-28 23:12:01.423155+00', '2026-11-28 23:12:01.547899+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:11.37004+00', false, NULL, 84000000, '{"thinking_of_another_prefix":1}', NULL, 12, NULL);
INSERT INTO public.generations VALUES ('01a2246e-0c67-7713-b7c6-965b0ed892c6', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0c67-7713-b7c6-965a90b8e44b', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 7, NULL, NULL, '2026-11-28 23:12:01.63931+00', '2026-11-28 23:12:01.647289+00', '2026-11-28 23:12:01.728434+00', '2026-11-28 23:12:01.731822+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:11.647383+00', false, NULL, 184000000, '{"thinking_of_another_prefix":1}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-0d4c-709d-a53b-b517232a602e', '01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246e-0d4c-709d-a53b-b516f7f3dcc9', 'failed', 'claude-opus-5-5', '{}', 2, NULL, '{"code":"invalid_request_error","message":"no","request_id":"req_scripted","retry_after_seconds":null}', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', NULL, NULL, NULL, NULL, '2026-11-28 23:12:01.868547+00', '2026-11-28 23:12:01.870127+00', NULL, '2026-11-28 23:12:02.093055+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:11.870195+00', false, NULL, 0, '{}', NULL, 0, NULL);
INSERT INTO public.generations VALUES ('01a2246e-10bd-7763-a4d8-6a84882e28fe', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10bd-7763-a4d8-6a83e2b633ea', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:02.749691+00', '2026-11-28 23:12:02.755964+00', '2026-11-28 23:12:02.923324+00', '2026-11-28 23:12:02.936149+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:12.756041+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-11df-7514-8013-46bca3307a42', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11df-7514-8013-46bb77347641', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:03.039776+00', '2026-11-28 23:12:03.047315+00', '2026-11-28 23:12:03.087733+00', '2026-11-28 23:12:03.107653+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:13.047412+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-12b1-741c-a730-e9c9359f872a', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12b1-741c-a730-e9c820627994', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:03.249401+00', '2026-11-28 23:12:03.256959+00', '2026-11-28 23:12:03.31006+00', '2026-11-28 23:12:03.330967+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:13.257044+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-13ad-716c-a52e-5709b33808f2', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13ad-716c-a52e-5708d8a42f3a', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:03.501855+00', '2026-11-28 23:12:03.51309+00', '2026-11-28 23:12:03.563976+00', '2026-11-28 23:12:03.57438+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:13.513183+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-146d-7368-ba71-6df45ee1fd94', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146d-7368-ba71-6df3c8b0c833', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:03.693818+00', '2026-11-28 23:12:03.69996+00', '2026-11-28 23:12:03.723594+00', '2026-11-28 23:12:03.740989+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:13.700029+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-151e-7111-a4ba-606f24d023f0', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-151e-7111-a4ba-606e680f315a', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:03.870666+00', '2026-11-28 23:12:03.874623+00', '2026-11-28 23:12:03.926614+00', '2026-11-28 23:12:03.936364+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:13.874694+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-15ef-7537-8aa5-8cbfb7460f14', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ef-7537-8aa5-8cbedc3b3214', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:04.079825+00', '2026-11-28 23:12:04.083602+00', '2026-11-28 23:12:04.11932+00', '2026-11-28 23:12:04.132804+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:14.08368+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-1689-7048-afcd-9d6d992239ef', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1688-75d1-bbab-f67a29232b46', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:04.233153+00', '2026-11-28 23:12:04.239455+00', '2026-11-28 23:12:04.276532+00', '2026-11-28 23:12:04.284436+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:14.239548+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-173f-74b3-aaeb-1ae1fd506b19', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173f-74b3-aaeb-1ae09486988d', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:04.415957+00', '2026-11-28 23:12:04.417821+00', '2026-11-28 23:12:04.464042+00', '2026-11-28 23:12:04.49588+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:14.417902+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-1823-7771-828c-98cdd0b6edcd', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1822-7496-b640-3db888545467', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:04.643127+00', '2026-11-28 23:12:04.645356+00', '2026-11-28 23:12:04.698898+00', '2026-11-28 23:12:04.710435+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:14.645447+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-18d6-765b-a939-3c60b4ea48c8', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d6-765b-a939-3c5fc8af1b30', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:04.822446+00', '2026-11-28 23:12:04.824666+00', '2026-11-28 23:12:04.863786+00', '2026-11-28 23:12:04.867654+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:14.824754+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-19a2-7496-8a5a-0b47874b04ea', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-19a0-7588-91c6-982d98efde53', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:05.02706+00', '2026-11-28 23:12:05.033924+00', '2026-11-28 23:12:05.088722+00', '2026-11-28 23:12:05.112441+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:15.034033+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-1ab8-7764-bd08-ddb5509af060', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1ab8-7764-bd08-ddb40981bdea', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:12:05.304732+00', '2026-11-28 23:12:05.308466+00', '2026-11-28 23:12:05.363546+00', '2026-11-28 23:12:05.373833+00', '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:15.308553+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246e-1c5a-709d-bd00-0a739343cd27', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a72ce9bf363', 'awaiting_tool_results', 'claude-opus-5-5', '{}', 5, 'tool_use', 'null', NULL, 'cd1f9bbca5a8d8df17d48592dc59f1e4', 11, 7, NULL, NULL, '2026-11-28 23:12:05.722999+00', '2026-11-28 23:12:05.724526+00', NULL, NULL, NULL, NULL, false, NULL, 184000000, '{}', NULL, NULL, '2026-11-29 00:12:05.943158+00');
INSERT INTO public.generations VALUES ('01a2246e-1f0c-7353-9450-1fb39ac736d5', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1f0c-7353-9450-1fb29b0cfe0b', 'queued', 'claude-opus-5-5', '{}', 0, NULL, 'null', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-28 23:12:06.412351+00', NULL, NULL, NULL, NULL, NULL, false, '01a2246e-1e9c-7792-af99-8237b39f5e8d', NULL, '{}', NULL, NULL, NULL);
INSERT INTO public.generations VALUES ('01a2246e-1e9c-7792-af99-8237b39f5e8d', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1e9c-7792-af99-8236500df36c', 'running', 'claude-opus-5-5', '{}', 3, NULL, 'null', NULL, '276a7d0e142fbde25d40b8738bb3b030', 11, 3, NULL, NULL, '2026-11-28 23:12:06.300979+00', '2026-11-28 23:12:06.311262+00', '2026-11-28 23:12:06.345444+00', NULL, '8b5654b9-f5c8-4125-8cdc-e9ba14c18a53', '2026-11-28 23:12:17.387285+00', false, NULL, NULL, '{}', 640065000000, NULL, NULL);
INSERT INTO public.idempotency_keys VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'ce553a97-7fc1-4603-8898-1ea64d545348', '2b5662fc8656ca42759918b2c923587d4828c03d0632f17d33d9c98fb56e243f', '01a2246e-08b3-71ad-8a49-95d72459f04e', '2026-11-28 23:12:00.771325+00');
INSERT INTO public.message_words VALUES ('01a2246e-08b2-7210-8c9f-2c7d3e4ffc47', '''@01a2246db86b75979b1f1f4e2d51051e'' ''go'':4 ''i'':3 ''shall'':2 ''where'':1');
INSERT INTO public.message_words VALUES ('01a2246e-08b3-71ad-8a49-95d658a19d50', '''@01a2246db86b75979b1f1f4e2d51051e'' ''is'':2 ''lisbon'':1 ''lovely'':3 ''👋'':4');
INSERT INTO public.message_words VALUES ('01a2246e-0b4f-7010-b8f8-ae2d7deccf2f', '''@01a2246db86b75979b1f1f4e2d51051e'' ''and'':1 ''in'':2 ''winter'':3');
INSERT INTO public.message_words VALUES ('01a2246e-0b57-77a0-a67e-125f02574dc4', '''@01a2246db86b75979b1f1f4e2d51051e'' ''the'':2 ''then'':1');
INSERT INTO public.message_words VALUES ('01a2246e-0c62-7766-8b16-0e4ebc79a752', '''@01a2246db86b75979b1f1f4e2d51051e'' ''and'':1 ''in'':2 ''summer'':3');
INSERT INTO public.message_words VALUES ('01a2246e-0c67-7713-b7c6-965a90b8e44b', '''@01a2246db86b75979b1f1f4e2d51051e'' ''a'':3 ''breeze'':4 ''has'':2 ''porto'':1');
INSERT INTO public.message_words VALUES ('01a2246e-0d4b-7604-a817-df76a2f92dc1', '''@01a2246db86b75979b1f1f4e2d51051e'' ''is'':2 ''what'':1 ''wrong'':3');
INSERT INTO public.message_words VALUES ('01a2246e-10ba-7685-b061-d7f50a8ae9b0', '''@01a2246db86b75979b1f1f4e2d51051e'' ''does'':2 ''it'':3 ''say'':4 ''what'':1');
INSERT INTO public.message_words VALUES ('01a2246e-10bd-7763-a4d8-6a83e2b633ea', '''@01a2246db86b75979b1f1f4e2d51051e'' ''it'':1 ''rose'':5 ''sales'':4 ''says'':2 ''that'':3');
INSERT INTO public.message_words VALUES ('01a2246e-11d7-75f6-93b6-200b20c77ed3', '''0'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-11df-7514-8013-46bb77347641', '''0'':3 ''1'':6 ''2'':7 ''3'':8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-12af-77cd-9bf2-11bb28c7ed50', '''1'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-12b1-741c-a730-e9c820627994', '''1'':3,6 ''2'':7 ''3'':8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-13a4-7274-bd6c-761854fa2eda', '''2'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-13ad-716c-a52e-5708d8a42f3a', '''1'':6 ''2'':3,7 ''3'':8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-146b-72f1-a3f7-0e47871f9a08', '''3'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-146d-7368-ba71-6df3c8b0c833', '''1'':6 ''2'':7 ''3'':3,8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-1519-7510-af8a-5d88b4f2ab57', '''4'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-151e-7111-a4ba-606e680f315a', '''1'':6 ''2'':7 ''3'':8 ''4'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-15ea-7076-9235-1597bab9e34c', '''5'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-15ef-7537-8aa5-8cbedc3b3214', '''1'':6 ''2'':7 ''3'':8 ''5'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-1682-71ef-99f8-e14c9666eed7', '''6'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-1688-75d1-bbab-f67a29232b46', '''1'':6 ''2'':7 ''3'':8 ''6'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-173d-75d9-a9eb-51d94e101372', '''7'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-173f-74b3-aaeb-1ae09486988d', '''1'':6 ''2'':7 ''3'':8 ''7'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-1820-7341-9222-404a53fb7d2e', '''8'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-1822-7496-b640-3db888545467', '''1'':6 ''2'':7 ''3'':8 ''8'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-18d4-74a8-89b6-24026a27a31a', '''9'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-18d6-765b-a939-3c5fc8af1b30', '''1'':6 ''2'':7 ''3'':8 ''9'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-199a-7187-86b7-6edc1f9da97f', '''10'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-19a0-7588-91c6-982d98efde53', '''1'':6 ''10'':3 ''2'':7 ''3'':8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-1ab2-745a-98e4-e8cca0c0ea7d', '''11'':3 ''@01a2246db86b75979b1f1f4e2d51051e'' ''ask'':1 ''number'':2');
INSERT INTO public.message_words VALUES ('01a2246e-1ab8-7764-bd08-ddb40981bdea', '''1'':6 ''11'':3 ''2'':7 ''3'':8 ''@01a2246db86b75979b1f1f4e2d51051e'' ''answer'':1 ''number'':2 ''of'':4 ''v'':5');
INSERT INTO public.message_words VALUES ('01a2246e-1c5a-709d-bd00-0a715d6c4eab', '''@01a2246db86b75979b1f1f4e2d51051e'' ''it'':2 ''read'':1');
INSERT INTO public.message_words VALUES ('01a2246e-1e9c-7792-af99-8235c6b8e2c5', '''@01a2246db86b75979b1f1f4e2d51051e'' ''all'':3 ''me'':2 ''tell'':1');
INSERT INTO public.message_words VALUES ('01a2246e-1f06-7235-940f-1f5f3d9324c3', '''@01a2246db86b75979b1f1f4e2d51051e'' ''and'':1 ''then'':2');
INSERT INTO public.messages VALUES ('01a2246e-08b2-7210-8c9f-2c7d3e4ffc47', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', NULL, 'user', 0, '[{"type":"text","text":"Where shall I go?"}]', '2026-11-28 23:12:00.690756+00');
INSERT INTO public.messages VALUES ('01a2246e-08b3-71ad-8a49-95d658a19d50', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b2-7210-8c9f-2c7d3e4ffc47', 'assistant', 1, '[{"type":"thinking","thinking":"The sea, perhaps.","signature":"c2lnbmVk"},{"type":"text","text":"Lisbon is lovely 👋"}]', '2026-11-28 23:12:00.691465+00');
INSERT INTO public.messages VALUES ('01a2246e-0b4f-7010-b8f8-ae2d7deccf2f', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d658a19d50', 'user', 2, '[{"type":"text","text":"And in winter?"}]', '2026-11-28 23:12:01.359112+00');
INSERT INTO public.messages VALUES ('01a2246e-0b57-77a0-a67e-125f02574dc4', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0b4f-7010-b8f8-ae2d7deccf2f', 'assistant', 3, '[{"type":"text","text":"Then the","partial":true}]', '2026-11-28 23:12:01.367925+00');
INSERT INTO public.messages VALUES ('01a2246e-0c62-7766-8b16-0e4ebc79a752', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-08b3-71ad-8a49-95d658a19d50', 'user', 2, '[{"type":"text","text":"And in summer?"}]', '2026-11-28 23:12:01.634034+00');
INSERT INTO public.messages VALUES ('01a2246e-0c67-7713-b7c6-965a90b8e44b', '01a2246e-08b2-7210-8c9f-2c7cb4736e42', '01a2246e-0c62-7766-8b16-0e4ebc79a752', 'assistant', 3, '[{"type":"text","text":"Porto has a breeze"}]', '2026-11-28 23:12:01.639156+00');
INSERT INTO public.messages VALUES ('01a2246e-0d4b-7604-a817-df76a2f92dc1', '01a2246e-0d4b-7604-a817-df752c7d6dfd', NULL, 'user', 0, '[{"type":"text","text":"What is wrong?"}]', '2026-11-28 23:12:01.867933+00');
INSERT INTO public.messages VALUES ('01a2246e-0d4c-709d-a53b-b516f7f3dcc9', '01a2246e-0d4b-7604-a817-df752c7d6dfd', '01a2246e-0d4b-7604-a817-df76a2f92dc1', 'assistant', 1, '[]', '2026-11-28 23:12:01.868426+00');
INSERT INTO public.messages VALUES ('01a2246e-10ba-7685-b061-d7f50a8ae9b0', '01a2246e-10b4-72b7-924f-29bab5ef0319', NULL, 'user', 0, '[{"type":"document","source":{"type":"attachment","attachment_id":"01a2246e-1084-7759-90e2-042238dc823a","media_type":"application/pdf","pages":1},"title":"report.pdf","citations":{"enabled":true}},{"type":"text","text":"What does it say?"}]', '2026-11-28 23:12:02.746375+00');
INSERT INTO public.messages VALUES ('01a2246e-10bd-7763-a4d8-6a83e2b633ea', '01a2246e-10b4-72b7-924f-29bab5ef0319', '01a2246e-10ba-7685-b061-d7f50a8ae9b0', 'assistant', 1, '[{"type":"text","text":"It says that sales rose."}]', '2026-11-28 23:12:02.749541+00');
INSERT INTO public.messages VALUES ('01a2246e-11d7-75f6-93b6-200b20c77ed3', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', NULL, 'user', 0, '[{"type":"text","text":"Ask number0"}]', '2026-11-28 23:12:03.031848+00');
INSERT INTO public.messages VALUES ('01a2246e-11df-7514-8013-46bb77347641', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11d7-75f6-93b6-200b20c77ed3', 'assistant', 1, '[{"type":"text","text":"Answer number0 of v1.2.3"}]', '2026-11-28 23:12:03.039614+00');
INSERT INTO public.messages VALUES ('01a2246e-12af-77cd-9bf2-11bb28c7ed50', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-11df-7514-8013-46bb77347641', 'user', 2, '[{"type":"text","text":"Ask number1"}]', '2026-11-28 23:12:03.247133+00');
INSERT INTO public.messages VALUES ('01a2246e-12b1-741c-a730-e9c820627994', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12af-77cd-9bf2-11bb28c7ed50', 'assistant', 3, '[{"type":"text","text":"Answer number1 of v1.2.3"}]', '2026-11-28 23:12:03.249233+00');
INSERT INTO public.messages VALUES ('01a2246e-13a4-7274-bd6c-761854fa2eda', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-12b1-741c-a730-e9c820627994', 'user', 4, '[{"type":"text","text":"Ask number2"}]', '2026-11-28 23:12:03.492133+00');
INSERT INTO public.messages VALUES ('01a2246e-13ad-716c-a52e-5708d8a42f3a', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13a4-7274-bd6c-761854fa2eda', 'assistant', 5, '[{"type":"text","text":"Answer number2 of v1.2.3"}]', '2026-11-28 23:12:03.501657+00');
INSERT INTO public.messages VALUES ('01a2246e-146b-72f1-a3f7-0e47871f9a08', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-13ad-716c-a52e-5708d8a42f3a', 'user', 6, '[{"type":"text","text":"Ask number3"}]', '2026-11-28 23:12:03.691935+00');
INSERT INTO public.messages VALUES ('01a2246e-146d-7368-ba71-6df3c8b0c833', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146b-72f1-a3f7-0e47871f9a08', 'assistant', 7, '[{"type":"text","text":"Answer number3 of v1.2.3"}]', '2026-11-28 23:12:03.693661+00');
INSERT INTO public.messages VALUES ('01a2246e-1519-7510-af8a-5d88b4f2ab57', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-146d-7368-ba71-6df3c8b0c833', 'user', 8, '[{"type":"text","text":"Ask number4"}]', '2026-11-28 23:12:03.86602+00');
INSERT INTO public.messages VALUES ('01a2246e-151e-7111-a4ba-606e680f315a', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1519-7510-af8a-5d88b4f2ab57', 'assistant', 9, '[{"type":"text","text":"Answer number4 of v1.2.3"}]', '2026-11-28 23:12:03.87052+00');
INSERT INTO public.messages VALUES ('01a2246e-15ea-7076-9235-1597bab9e34c', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-151e-7111-a4ba-606e680f315a', 'user', 10, '[{"type":"text","text":"Ask number5"}]', '2026-11-28 23:12:04.07405+00');
INSERT INTO public.messages VALUES ('01a2246e-15ef-7537-8aa5-8cbedc3b3214', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ea-7076-9235-1597bab9e34c', 'assistant', 11, '[{"type":"text","text":"Answer number5 of v1.2.3"}]', '2026-11-28 23:12:04.079684+00');
INSERT INTO public.messages VALUES ('01a2246e-1682-71ef-99f8-e14c9666eed7', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-15ef-7537-8aa5-8cbedc3b3214', 'user', 12, '[{"type":"text","text":"Ask number6"}]', '2026-11-28 23:12:04.226323+00');
INSERT INTO public.messages VALUES ('01a2246e-1688-75d1-bbab-f67a29232b46', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1682-71ef-99f8-e14c9666eed7', 'assistant', 13, '[{"type":"text","text":"Answer number6 of v1.2.3"}]', '2026-11-28 23:12:04.232955+00');
INSERT INTO public.messages VALUES ('01a2246e-173d-75d9-a9eb-51d94e101372', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1688-75d1-bbab-f67a29232b46', 'user', 14, '[{"type":"text","text":"Ask number7"}]', '2026-11-28 23:12:04.413981+00');
INSERT INTO public.messages VALUES ('01a2246e-173f-74b3-aaeb-1ae09486988d', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173d-75d9-a9eb-51d94e101372', 'assistant', 15, '[{"type":"text","text":"Answer number7 of v1.2.3"}]', '2026-11-28 23:12:04.41576+00');
INSERT INTO public.messages VALUES ('01a2246e-1820-7341-9222-404a53fb7d2e', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-173f-74b3-aaeb-1ae09486988d', 'user', 16, '[{"type":"text","text":"Ask number8"}]', '2026-11-28 23:12:04.640747+00');
INSERT INTO public.messages VALUES ('01a2246e-1822-7496-b640-3db888545467', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1820-7341-9222-404a53fb7d2e', 'assistant', 17, '[{"type":"text","text":"Answer number8 of v1.2.3"}]', '2026-11-28 23:12:04.642913+00');
INSERT INTO public.messages VALUES ('01a2246e-18d4-74a8-89b6-24026a27a31a', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1822-7496-b640-3db888545467', 'user', 18, '[{"type":"text","text":"Ask number9"}]', '2026-11-28 23:12:04.820043+00');
INSERT INTO public.messages VALUES ('01a2246e-18d6-765b-a939-3c5fc8af1b30', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d4-74a8-89b6-24026a27a31a', 'assistant', 19, '[{"type":"text","text":"Answer number9 of v1.2.3"}]', '2026-11-28 23:12:04.822215+00');
INSERT INTO public.messages VALUES ('01a2246e-199a-7187-86b7-6edc1f9da97f', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-18d6-765b-a939-3c5fc8af1b30', 'user', 20, '[{"type":"text","text":"Ask number10"}]', '2026-11-28 23:12:05.018436+00');
INSERT INTO public.messages VALUES ('01a2246e-19a0-7588-91c6-982d98efde53', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-199a-7187-86b7-6edc1f9da97f', 'assistant', 21, '[{"type":"text","text":"Answer number10 of v1.2.3"}]', '2026-11-28 23:12:05.024943+00');
INSERT INTO public.messages VALUES ('01a2246e-1ab2-745a-98e4-e8cca0c0ea7d', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-19a0-7588-91c6-982d98efde53', 'user', 22, '[{"type":"text","text":"Ask number11"}]', '2026-11-28 23:12:05.298185+00');
INSERT INTO public.messages VALUES ('01a2246e-1ab8-7764-bd08-ddb40981bdea', '01a2246e-11d6-71f3-9bf1-0d4dea133de6', '01a2246e-1ab2-745a-98e4-e8cca0c0ea7d', 'assistant', 23, '[{"type":"text","text":"Answer number11 of v1.2.3"}]', '2026-11-28 23:12:05.304511+00');
INSERT INTO public.messages VALUES ('01a2246e-1c5a-709d-bd00-0a715d6c4eab', '01a2246e-1c5a-709d-bd00-0a704e234d6a', NULL, 'user', 0, '[{"type":"text","text":"Read it"}]', '2026-11-28 23:12:05.722266+00');
INSERT INTO public.messages VALUES ('01a2246e-1c5a-709d-bd00-0a72ce9bf363', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a715d6c4eab', 'assistant', 1, '[{"type":"tool_use","id":"toolu_d6f6f40b8d764646b4a6ad13fbaf11ee","name":"read_page","input":{}}]', '2026-11-28 23:12:05.72288+00');
INSERT INTO public.messages VALUES ('01a2246e-1e9c-7792-af99-8235c6b8e2c5', '01a2246e-1e9c-7792-af99-8234efe72c0a', NULL, 'user', 0, '[{"type":"text","text":"Tell me all"}]', '2026-11-28 23:12:06.300243+00');
INSERT INTO public.messages VALUES ('01a2246e-1f06-7235-940f-1f5f3d9324c3', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1e9c-7792-af99-8236500df36c', 'user', 2, '[{"type":"text","text":"And then?"}]', '2026-11-28 23:12:06.406172+00');
INSERT INTO public.messages VALUES ('01a2246e-1f0c-7353-9450-1fb29b0cfe0b', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1f06-7235-940f-1f5f3d9324c3', 'assistant', 3, '[]', '2026-11-28 23:12:06.412197+00');
INSERT INTO public.messages VALUES ('01a2246e-1e9c-7792-af99-8236500df36c', '01a2246e-1e9c-7792-af99-8234efe72c0a', '01a2246e-1e9c-7792-af99-8235c6b8e2c5', 'assistant', 1, '[{"type":"text","text":"Half of it","partial":true}]', '2026-11-28 23:12:06.30086+00');
INSERT INTO public.personal_tokens VALUES ('01a2246d-f5b0-74bd-9bd0-c79585c3a06f', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'script', '98797f45fa692fba654285d166a7ef2f02cd1baf4c44e3e16e0be1f149d53e29', NULL, '2026-11-28 23:11:55.824191+00');
INSERT INTO public.sign_ins VALUES ('01a2246d-b891-72ab-92cd-9082f4404e96', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', 0, '2026-12-28 23:11:40.177711+00', NULL, '2026-11-28 23:11:40.177857+00', NULL);
INSERT INTO public.spending VALUES ('2026-11-28', 14, 3028000000);
INSERT INTO public.tool_calls VALUES ('01a2246e-1cf5-7691-b3f0-9c98e9251f26', '01a2246d-b86b-7597-9b1f-1f4e2d51051e', '01a2246e-1c5a-709d-bd00-0a704e234d6a', '01a2246e-1c5a-709d-bd00-0a739343cd27', 'toolu_d6f6f40b8d764646b4a6ad13fbaf11ee', 'read_page', 'waiting', false, 'null', NULL, '2026-11-28 23:12:05.877286+00', NULL, NULL);
INSERT INTO public.users VALUES ('01a2246d-b86b-7597-9b1f-1f4e2d51051e', 'ada', '2026-11-28 23:11:40.139408+00', 44, '$argon2id$v=19$m=65536,t=3,p=4$2D4idpfb4Xb4rrKfuIZjUA$NwAsmVW380eA2BXD5zBwSqVt+1MrGE6l4FlgOgCXpRM', NULL, NULL, 'ada');
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.conversation_changes
    ADD CONSTRAINT conversation_changes_pkey PRIMARY KEY (owner_id, sequence);
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_message_id_key UNIQUE (message_id);
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (owner_id, key);
ALTER TABLE ONLY public.message_words
    ADD CONSTRAINT message_words_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.personal_tokens
    ADD CONSTRAINT personal_tokens_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.personal_tokens
    ADD CONSTRAINT personal_tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.search_rebuilds
    ADD CONSTRAINT search_rebuilds_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.spending
    ADD CONSTRAINT spending_pkey PRIMARY KEY (day, shard);
ALTER TABLE ONLY public.tool_calls
    ADD CONSTRAINT tool_calls_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_name_key UNIQUE (name);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX attachments_by_blob ON public.attachments USING btree (blob_id);
CREATE INDEX attachments_by_conversation ON public.attachments USING btree (conversation_id);
CREATE INDEX attachments_by_owner ON public.attachments USING btree (owner_id);
CREATE INDEX audit_by_user ON public.audit USING btree (user_id, created_at);
CREATE INDEX calls_by_owner ON public.calls USING btree (owner_id, created_at);
CREATE INDEX conversation_changes_by_age ON public.conversation_changes USING btree (created_at);
CREATE INDEX conversations_by_activity ON public.conversations USING btree (owner_id, updated_at, id);
CREATE INDEX conversations_by_age ON public.conversations USING btree (updated_at) WHERE temporary;
CREATE INDEX conversations_by_creation ON public.conversations USING btree (owner_id, created_at, id);
CREATE INDEX conversations_by_title ON public.conversations USING btree (owner_id, COALESCE(lower((title)::text), ''::text), id);
CREATE INDEX generations_by_conversation ON public.generations USING btree (conversation_id, status);
CREATE INDEX generations_by_lease ON public.generations USING btree (status, lease_until);
CREATE INDEX generations_by_line ON public.generations USING btree (waits_for);
CREATE INDEX generations_by_reservation ON public.generations USING btree (reserved) WHERE (reserved IS NOT NULL);
CREATE INDEX idempotency_keys_by_generation ON public.idempotency_keys USING btree (generation_id);
CREATE UNIQUE INDEX ix_users_name_skeleton ON public.users USING btree (name_skeleton);
CREATE INDEX message_words_by_word ON public.message_words USING gin (words);
CREATE INDEX messages_by_conversation ON public.messages USING btree (conversation_id, id);
CREATE INDEX messages_by_parent ON public.messages USING btree (parent_id, id);
CREATE INDEX personal_tokens_by_owner ON public.personal_tokens USING btree (owner_id);
CREATE INDEX reservations_by_owner ON public.reservations USING btree (owner_id);
CREATE INDEX sign_ins_by_owner ON public.sign_ins USING btree (owner_id);
CREATE UNIQUE INDEX tool_calls_by_generation ON public.tool_calls USING btree (generation_id, tool_use_id);
CREATE INDEX tool_calls_by_owner ON public.tool_calls USING btree (owner_id, created_at);
CREATE UNIQUE INDEX users_by_subject ON public.users USING btree (issuer, subject);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES public.blobs(id);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.conversation_changes
    ADD CONSTRAINT conversation_changes_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_generation_id_fkey FOREIGN KEY (generation_id) REFERENCES public.generations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.message_words
    ADD CONSTRAINT message_words_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.personal_tokens
    ADD CONSTRAINT personal_tokens_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.tool_calls
    ADD CONSTRAINT tool_calls_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;

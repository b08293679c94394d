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
CREATE TABLE public.sign_ins (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    rotation bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL
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
    subject character varying
);
INSERT INTO public.alembic_version VALUES ('0014');
INSERT INTO public.attachments VALUES ('01a2246b-f03b-7074-9e54-cfa2688b24ce', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f023-7302-85e9-ad19e09211c2', 'report.pdf', 'application/pdf', 586, NULL, NULL, 1, '2026-11-28 23:09:43.355587+00');
INSERT INTO public.audit VALUES ('01a2246b-7fc3-71aa-a327-5ee1ab2c47b4', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'registered', '127.0.0.1', '{}', '2026-11-28 23:09:14.563509+00');
INSERT INTO public.audit VALUES ('01a2246b-7ff3-7307-91ca-090b289e6fc8', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'signed_in', '127.0.0.1', '{}', '2026-11-28 23:09:14.611671+00');
INSERT INTO public.audit VALUES ('01a2246b-cf6b-70c4-8aed-ac47862881a5', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'token_created', NULL, '{"token":"01a2246b-cf5b-7036-a009-0ddf236a5201"}', '2026-11-28 23:09:34.955933+00');
INSERT INTO public.audit VALUES ('01a2246c-0dcc-71c9-a5fe-6d4f1f308a84', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'exported', '127.0.0.1', '{"conversations":"01a2246b-e341-7094-8940-733aa7a5f1b3"}', '2026-11-28 23:09:50.924768+00');
INSERT INTO public.audit VALUES ('01a2246c-0e78-727d-a257-18c6d1b4608c', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'exported', '127.0.0.1', '{"conversations":"01a2246b-ee73-7103-815e-81b7d9ba5a60"}', '2026-11-28 23:09:51.096407+00');
INSERT INTO public.audit VALUES ('01a2246c-0ecf-7258-975e-4c4455b9b9ad', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'exported', '127.0.0.1', '{"conversations":"01a2246b-f1ab-73d5-867a-3d0056ef0853"}', '2026-11-28 23:09:51.183546+00');
INSERT INTO public.audit VALUES ('01a2246c-0f29-7027-acec-b3d253e7c98d', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'exported', '127.0.0.1', '{"conversations":"01a2246b-f694-72a2-82e2-163eeec57854"}', '2026-11-28 23:09:51.273467+00');
INSERT INTO public.blobs VALUES ('01a2246b-f023-7302-85e9-ad19e09211c2', NULL, '2026-11-28 23:09:43.331351+00');
INSERT INTO public.calls VALUES ('01a2246b-e8db-76c0-977f-de02d324115d', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4192c47e35f', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:41.466933+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-ecbb-741a-8a7f-0fa12d10e01a', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-eb83-70f7-ba41-5b99d57b0d93', 'answer', 'claude-opus-5-5', 'req_scripted', 'stopped', 11, 2, 0, 0, 0, 84000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:42.459522+00', true, 0);
INSERT INTO public.calls VALUES ('01a2246b-edf7-7314-b8ef-d5646593c020', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-ed48-7117-ba6a-19a1cb0a6f92', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:42.775684+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-ef83-7252-928a-14839834d205', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-ee74-778e-9286-0ef10d352a9b', 'answer', 'claude-opus-5-5', 'req_scripted', 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:09:43.171385+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-f5c8-7240-8e50-c71ba57ba145', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1c3-763c-b667-4b53cab4ae95', 'answer', 'claude-opus-5-5', NULL, 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:09:44.775916+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-f5c8-7240-8e50-c71ca7afa3ab', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1c3-763c-b667-4b53cab4ae95', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:44.77628+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-f71f-74e5-8436-08e1208fb324', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f6a2-70bc-9048-3842ca5f1e51', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:45.118822+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-f87c-714b-a30e-6de4ee994826', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7e3-747e-bfcb-0c0ed454729c', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:45.468423+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-f94b-76b1-ba18-850f8097535d', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8ee-725e-8c70-63891d1efe5a', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:45.675146+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-fa77-7203-b66e-eb772717e409', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9e3-71ef-b85e-d21ef5b4bc16', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:45.975359+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-fbf5-7371-be4b-bd7e2235d77e', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb65-71a8-a318-f993ca49ce35', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:46.356956+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-fd90-76ec-8cd4-de4156356262', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fd08-7154-a731-2976904d41bf', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:46.767752+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246b-fecf-7704-8438-fd45f42a4fba', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe64-75c9-987d-56e5488a36d4', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:47.087022+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-0027-74c6-992c-a28887a084e8', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffc0-7023-bed0-2355e5c59e31', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:47.431019+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-0146-762d-9494-3dfedc6abfa0', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00cc-738f-b54f-ce7e594026d2', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:47.718577+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-02c7-7384-aaf6-91c67c7af84a', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0243-7186-b27d-dc73bc5cc923', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:48.103049+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-0446-7497-8697-7f9005d1b0b1', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03c0-770d-af2c-8dac25f98949', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:48.486472+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-089b-7705-87ed-88616adeccd3', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-081b-748f-b13f-aebb56113167', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:49.59548+00', false, 0);
INSERT INTO public.calls VALUES ('01a2246c-09f0-72af-88ae-2b34389adf41', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09bf-7525-b6fb-fde47f680189', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:09:49.936479+00', false, 0);
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 1, 'created', '01a2246b-e341-7094-8940-733aa7a5f1b3', NULL, '2026-11-28 23:09:40.17199+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 2, 'generation_started', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4192c47e35f', '2026-11-28 23:09:40.17199+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 3, 'generation_ended', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4192c47e35f', '2026-11-28 23:09:41.487088+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 4, 'updated', '01a2246b-e341-7094-8940-733aa7a5f1b3', NULL, '2026-11-28 23:09:41.947453+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 5, 'generation_started', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-eb83-70f7-ba41-5b99d57b0d93', '2026-11-28 23:09:42.179005+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 6, 'generation_ended', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-eb83-70f7-ba41-5b99d57b0d93', '2026-11-28 23:09:42.479324+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 7, 'generation_started', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-ed48-7117-ba6a-19a1cb0a6f92', '2026-11-28 23:09:42.643554+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 8, 'generation_ended', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-ed48-7117-ba6a-19a1cb0a6f92', '2026-11-28 23:09:42.795857+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 9, 'created', '01a2246b-ee73-7103-815e-81b7d9ba5a60', NULL, '2026-11-28 23:09:42.944265+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 10, 'generation_started', '01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-ee74-778e-9286-0ef10d352a9b', '2026-11-28 23:09:42.944265+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 11, 'generation_ended', '01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-ee74-778e-9286-0ef10d352a9b', '2026-11-28 23:09:43.183809+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 12, 'created', '01a2246b-f1ab-73d5-867a-3d0056ef0853', NULL, '2026-11-28 23:09:43.934347+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 13, 'generation_started', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1c3-763c-b667-4b53cab4ae95', '2026-11-28 23:09:43.934347+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 14, 'generation_ended', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1c3-763c-b667-4b53cab4ae95', '2026-11-28 23:09:44.793367+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 15, 'created', '01a2246b-f694-72a2-82e2-163eeec57854', NULL, '2026-11-28 23:09:45.024766+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 16, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f6a2-70bc-9048-3842ca5f1e51', '2026-11-28 23:09:45.024766+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 17, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f6a2-70bc-9048-3842ca5f1e51', '2026-11-28 23:09:45.120832+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 18, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7e3-747e-bfcb-0c0ed454729c', '2026-11-28 23:09:45.340768+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 19, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7e3-747e-bfcb-0c0ed454729c', '2026-11-28 23:09:45.481073+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 20, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8ee-725e-8c70-63891d1efe5a', '2026-11-28 23:09:45.615055+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 21, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8ee-725e-8c70-63891d1efe5a', '2026-11-28 23:09:45.692023+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 22, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9e3-71ef-b85e-d21ef5b4bc16', '2026-11-28 23:09:45.861738+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 23, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9e3-71ef-b85e-d21ef5b4bc16', '2026-11-28 23:09:45.98573+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 24, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb65-71a8-a318-f993ca49ce35', '2026-11-28 23:09:46.25657+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 25, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb65-71a8-a318-f993ca49ce35', '2026-11-28 23:09:46.369116+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 26, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fd08-7154-a731-2976904d41bf', '2026-11-28 23:09:46.671466+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 27, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fd08-7154-a731-2976904d41bf', '2026-11-28 23:09:46.773546+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 28, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe64-75c9-987d-56e5488a36d4', '2026-11-28 23:09:47.013991+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 29, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe64-75c9-987d-56e5488a36d4', '2026-11-28 23:09:47.100349+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 30, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffc0-7023-bed0-2355e5c59e31', '2026-11-28 23:09:47.361941+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 31, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffc0-7023-bed0-2355e5c59e31', '2026-11-28 23:09:47.440514+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 32, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00cc-738f-b54f-ce7e594026d2', '2026-11-28 23:09:47.639065+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 33, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00cc-738f-b54f-ce7e594026d2', '2026-11-28 23:09:47.731592+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 34, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0243-7186-b27d-dc73bc5cc923', '2026-11-28 23:09:48.018106+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 35, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0243-7186-b27d-dc73bc5cc923', '2026-11-28 23:09:48.131712+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 36, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03c0-770d-af2c-8dac25f98949', '2026-11-28 23:09:48.386631+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 37, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03c0-770d-af2c-8dac25f98949', '2026-11-28 23:09:48.510404+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 38, 'generation_started', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-081b-748f-b13f-aebb56113167', '2026-11-28 23:09:49.503534+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 39, 'generation_ended', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-081b-748f-b13f-aebb56113167', '2026-11-28 23:09:49.600102+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 40, 'created', '01a2246c-09be-746d-a7c7-31422a6c22d6', NULL, '2026-11-28 23:09:49.912265+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 41, 'generation_started', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09bf-7525-b6fb-fde47f680189', '2026-11-28 23:09:49.912265+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 42, 'updated', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09bf-7525-b6fb-fde47f680189', '2026-11-28 23:09:50.151061+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 43, 'created', '01a2246c-0b67-7504-baf2-01b113b6d38d', NULL, '2026-11-28 23:09:50.336407+00');
INSERT INTO public.conversation_changes VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 44, 'generation_started', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0b68-733f-88c5-29eb15367aa8', '2026-11-28 23:09:50.336407+00');
INSERT INTO public.conversations VALUES ('01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'Travel', 'Be brief.', 'claude-opus-5-5', false, true, '01a2246b-ed47-7343-bb21-dc7c70ab456b', '2026-11-28 23:09:40.033128+00', '2026-11-28 23:09:42.6+00', 33, 16, 0, 0, 452000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-7faf-70fa-8a4c-19641253c9fe', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246b-ee74-778e-9286-0ef0b61ff5ba', '2026-11-28 23:09:42.899265+00', '2026-11-28 23:09:42.900055+00', 0, 0, 0, 0, 0, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-7faf-70fa-8a4c-19641253c9fe', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246b-f1c3-763c-b667-4b522645cb04', '2026-11-28 23:09:43.723411+00', '2026-11-28 23:09:43.747229+00', 11, 7, 0, 0, 184000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-7faf-70fa-8a4c-19641253c9fe', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246c-081b-748f-b13f-aebaf4b9b776', '2026-11-28 23:09:44.9802+00', '2026-11-28 23:09:49.467592+00', 132, 84, 0, 0, 2208000000, '{}', false, '{}');
INSERT INTO public.conversations VALUES ('01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246b-7faf-70fa-8a4c-19641253c9fe', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246c-09bf-7525-b6fb-fde3c64db04a', '2026-11-28 23:09:49.886507+00', '2026-11-28 23:09:49.887247+00', 0, 0, 0, 0, 0, '{}', false, '{"client":[{"name":"read_page","description":"Reads the page.","input_schema":{"type":"object"}}]}');
INSERT INTO public.conversations VALUES ('01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246b-7faf-70fa-8a4c-19641253c9fe', NULL, NULL, 'claude-opus-5-5', false, false, '01a2246c-0c17-7784-97b7-b15436121efb', '2026-11-28 23:09:50.311456+00', '2026-11-28 23:09:50.487965+00', 0, 0, 0, 0, 0, '{}', false, '{}');
INSERT INTO public.generations VALUES ('01a2246b-e34f-73e2-8309-f4192c47e35f', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4186e6d35d2', 'completed', 'claude-opus-5-5', '{}', 8, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:40.048057+00', '2026-11-28 23:09:40.088324+00', '2026-11-28 23:09:41.400117+00', '2026-11-28 23:09:41.419621+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:50.088419+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-eb83-70f7-ba41-5b99d57b0d93', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-eb83-70f7-ba41-5b981614d78a', 'stopped', 'claude-opus-5-5', '{}', 4, NULL, 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 2, NULL, NULL, '2026-11-28 23:09:42.147567+00', '2026-11-28 23:09:42.159236+00', '2026-11-28 23:09:42.217706+00', '2026-11-28 23:09:42.427663+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:52.159315+00', false, NULL, 84000000, '{"thinking_of_another_prefix": 1}', NULL, 12, NULL);
INSERT INTO public.generations VALUES ('01a2246b-ed48-7117-ba6a-19a1cb0a6f92', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-ed47-7343-bb21-dc7c70ab456b', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 7, NULL, NULL, '2026-11-28 23:09:42.600192+00', '2026-11-28 23:09:42.635266+00', '2026-11-28 23:09:42.709873+00', '2026-11-28 23:09:42.755465+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:52.635351+00', false, NULL, 184000000, '{"thinking_of_another_prefix": 1}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-ee74-778e-9286-0ef10d352a9b', '01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-ee74-778e-9286-0ef0b61ff5ba', 'failed', 'claude-opus-5-5', '{}', 2, NULL, '{"code":"invalid_request_error","message":"no","request_id":"req_scripted","retry_after_seconds":null}', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', NULL, NULL, NULL, NULL, '2026-11-28 23:09:42.900197+00', '2026-11-28 23:09:42.931363+00', NULL, '2026-11-28 23:09:43.148194+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:52.931457+00', false, NULL, 0, '{}', NULL, 0, NULL);
INSERT INTO public.generations VALUES ('01a2246b-f1c3-763c-b667-4b53cab4ae95', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1c3-763c-b667-4b522645cb04', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:43.747403+00', '2026-11-28 23:09:43.903312+00', '2026-11-28 23:09:44.075372+00', '2026-11-28 23:09:44.739484+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:53.903388+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-f6a2-70bc-9048-3842ca5f1e51', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f6a2-70bc-9048-38410100c189', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:44.99476+00', '2026-11-28 23:09:45.01135+00', '2026-11-28 23:09:45.063727+00', '2026-11-28 23:09:45.10356+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:55.01143+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-f7e3-747e-bfcb-0c0ed454729c', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7e3-747e-bfcb-0c0d36ff2d4e', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:45.315534+00', '2026-11-28 23:09:45.331339+00', '2026-11-28 23:09:45.427447+00', '2026-11-28 23:09:45.456039+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:55.331433+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-f8ee-725e-8c70-63891d1efe5a', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8ee-725e-8c70-63885af4ed09', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:45.582355+00', '2026-11-28 23:09:45.606655+00', '2026-11-28 23:09:45.641443+00', '2026-11-28 23:09:45.654548+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:55.606752+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-f9e3-71ef-b85e-d21ef5b4bc16', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9e3-71ef-b85e-d21d9f033cfd', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:45.827523+00', '2026-11-28 23:09:45.843298+00', '2026-11-28 23:09:45.895787+00', '2026-11-28 23:09:45.943555+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:55.843385+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-fb65-71a8-a318-f993ca49ce35', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb64-7187-9d82-10723d2c94ee', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:46.213094+00', '2026-11-28 23:09:46.235514+00', '2026-11-28 23:09:46.292249+00', '2026-11-28 23:09:46.322908+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:56.235618+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-fd08-7154-a731-2976904d41bf', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fd08-7154-a731-2975de4ccf52', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:46.633015+00', '2026-11-28 23:09:46.655407+00', '2026-11-28 23:09:46.715637+00', '2026-11-28 23:09:46.7434+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:56.655502+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-fe64-75c9-987d-56e5488a36d4', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe64-75c9-987d-56e4ccdd7c15', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:46.98034+00', '2026-11-28 23:09:47.003284+00', '2026-11-28 23:09:47.052384+00', '2026-11-28 23:09:47.068345+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:57.003372+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246b-ffc0-7023-bed0-2355e5c59e31', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffc0-7023-bed0-2354e9e91241', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:47.328463+00', '2026-11-28 23:09:47.346331+00', '2026-11-28 23:09:47.391428+00', '2026-11-28 23:09:47.410001+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:57.346414+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246c-00cc-738f-b54f-ce7e594026d2', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00cc-738f-b54f-ce7d04a26120', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:47.596954+00', '2026-11-28 23:09:47.615372+00', '2026-11-28 23:09:47.669704+00', '2026-11-28 23:09:47.689138+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:57.615466+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246c-0243-7186-b27d-dc73bc5cc923', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0243-7186-b27d-dc7257e6449e', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:47.971555+00', '2026-11-28 23:09:47.998859+00', '2026-11-28 23:09:48.052724+00', '2026-11-28 23:09:48.078716+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:57.998955+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246c-03c0-770d-af2c-8dac25f98949', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03c0-770d-af2c-8dab4f4d8961', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:48.352455+00', '2026-11-28 23:09:48.369445+00', '2026-11-28 23:09:48.424892+00', '2026-11-28 23:09:48.456565+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:58.369525+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246c-081b-748f-b13f-aebb56113167', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-081b-748f-b13f-aebaf4b9b776', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:09:49.467746+00', '2026-11-28 23:09:49.489454+00', '2026-11-28 23:09:49.531529+00', '2026-11-28 23:09:49.553364+00', 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:09:59.489533+00', false, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO public.generations VALUES ('01a2246c-09bf-7525-b6fb-fde47f680189', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09bf-7525-b6fb-fde3c64db04a', 'awaiting_tool_results', 'claude-opus-5-5', '{}', 5, 'tool_use', 'null', NULL, 'cd1f9bbca5a8d8df17d48592dc59f1e4', 11, 7, NULL, NULL, '2026-11-28 23:09:49.887366+00', '2026-11-28 23:09:49.895192+00', NULL, NULL, NULL, NULL, false, NULL, 184000000, '{}', NULL, NULL, '2026-11-29 00:09:50.115373+00');
INSERT INTO public.generations VALUES ('01a2246c-0c18-723f-aa5c-64e7a57e8f87', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0c17-7784-97b7-b15436121efb', 'queued', 'claude-opus-5-5', '{}', 0, NULL, 'null', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-28 23:09:50.488137+00', NULL, NULL, NULL, NULL, NULL, false, '01a2246c-0b68-733f-88c5-29eb15367aa8', NULL, '{}', NULL, NULL, NULL);
INSERT INTO public.generations VALUES ('01a2246c-0b68-733f-88c5-29eb15367aa8', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0b68-733f-88c5-29eaf5eed7c5', 'running', 'claude-opus-5-5', '{}', 3, NULL, 'null', NULL, '276a7d0e142fbde25d40b8738bb3b030', 11, 3, NULL, NULL, '2026-11-28 23:09:50.312449+00', '2026-11-28 23:09:50.327299+00', '2026-11-28 23:09:50.359745+00', NULL, 'a3e61157-e125-492e-8fdc-b19ebdbe8782', '2026-11-28 23:10:01.702948+00', false, NULL, NULL, '{}', 640065000000, NULL, NULL);
INSERT INTO public.idempotency_keys VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', '662cfcaa-86ab-4f3e-ab00-4c47cdfa10ff', '2b5662fc8656ca42759918b2c923587d4828c03d0632f17d33d9c98fb56e243f', '01a2246b-e34f-73e2-8309-f4192c47e35f', '2026-11-28 23:09:40.153108+00');
INSERT INTO public.message_words VALUES ('01a2246b-e341-7094-8940-733b913da14a', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''go'':4 ''i'':3 ''shall'':2 ''where'':1');
INSERT INTO public.message_words VALUES ('01a2246b-e34f-73e2-8309-f4186e6d35d2', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''is'':2 ''lisbon'':1 ''lovely'':3');
INSERT INTO public.message_words VALUES ('01a2246b-eb67-763b-beb1-fc9f7260b152', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''and'':1 ''in'':2 ''winter'':3');
INSERT INTO public.message_words VALUES ('01a2246b-eb83-70f7-ba41-5b981614d78a', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''the'':2 ''then'':1');
INSERT INTO public.message_words VALUES ('01a2246b-ed3f-7199-95e3-5e30218f8211', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''and'':1 ''in'':2 ''summer'':3');
INSERT INTO public.message_words VALUES ('01a2246b-ed47-7343-bb21-dc7c70ab456b', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''a'':3 ''breeze'':4 ''has'':2 ''porto'':1');
INSERT INTO public.message_words VALUES ('01a2246b-ee73-7103-815e-81b8b9d21fd7', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''is'':2 ''what'':1 ''wrong'':3');
INSERT INTO public.message_words VALUES ('01a2246b-f1be-7477-97ee-964c2a4725d3', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''does'':2 ''it'':3 ''say'':4 ''what'':1');
INSERT INTO public.message_words VALUES ('01a2246b-f1c3-763c-b667-4b522645cb04', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''it'':1 ''rose'':5 ''sales'':4 ''says'':2 ''that'':3');
INSERT INTO public.message_words VALUES ('01a2246b-f694-72a2-82e2-163f4d44cee8', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number0'':2');
INSERT INTO public.message_words VALUES ('01a2246b-f6a2-70bc-9048-38410100c189', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number0'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-f7db-741d-8b27-aa8511bffab3', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number1'':2');
INSERT INTO public.message_words VALUES ('01a2246b-f7e3-747e-bfcb-0c0d36ff2d4e', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number1'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-f8e2-7789-bfae-ef2b8d462bd3', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number2'':2');
INSERT INTO public.message_words VALUES ('01a2246b-f8ee-725e-8c70-63885af4ed09', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number2'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-f9d5-73b7-8da4-c33f3363aa98', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number3'':2');
INSERT INTO public.message_words VALUES ('01a2246b-f9e3-71ef-b85e-d21d9f033cfd', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number3'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-fb54-7349-abc1-af451fbe5557', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number4'':2');
INSERT INTO public.message_words VALUES ('01a2246b-fb64-7187-9d82-10723d2c94ee', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number4'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-fcff-71b8-b1f0-a61df0dac0b0', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number5'':2');
INSERT INTO public.message_words VALUES ('01a2246b-fd08-7154-a731-2975de4ccf52', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number5'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-fe58-762d-bbb6-7aac589fbacc', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number6'':2');
INSERT INTO public.message_words VALUES ('01a2246b-fe64-75c9-987d-56e4ccdd7c15', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number6'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246b-ffb8-76cb-a5ff-87e8f0e98d20', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number7'':2');
INSERT INTO public.message_words VALUES ('01a2246b-ffc0-7023-bed0-2354e9e91241', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number7'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246c-00c7-75e1-82db-c06e6187949d', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number8'':2');
INSERT INTO public.message_words VALUES ('01a2246c-00cc-738f-b54f-ce7d04a26120', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number8'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246c-0203-70a4-b9a2-c317e67f28e7', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number9'':2');
INSERT INTO public.message_words VALUES ('01a2246c-0243-7186-b27d-dc7257e6449e', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number9'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246c-03b1-73aa-9876-9e417979f41f', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number10'':2');
INSERT INTO public.message_words VALUES ('01a2246c-03c0-770d-af2c-8dab4f4d8961', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number10'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246c-0811-706e-8356-55de7ff8b332', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''ask'':1 ''number11'':2');
INSERT INTO public.message_words VALUES ('01a2246c-081b-748f-b13f-aebaf4b9b776', '''2'':5 ''3'':6 ''@01a2246b7faf70fa8a4c19641253c9fe'' ''answer'':1 ''number11'':2 ''of'':3 ''v1'':4');
INSERT INTO public.message_words VALUES ('01a2246c-09be-746d-a7c7-3143562ae889', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''it'':2 ''read'':1');
INSERT INTO public.message_words VALUES ('01a2246c-0b67-7504-baf2-01b270f70d4d', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''all'':3 ''me'':2 ''tell'':1');
INSERT INTO public.message_words VALUES ('01a2246c-0c0f-7507-8b81-48930a3e7c15', '''@01a2246b7faf70fa8a4c19641253c9fe'' ''and'':1 ''then'':2');
INSERT INTO public.messages VALUES ('01a2246b-e341-7094-8940-733b913da14a', '01a2246b-e341-7094-8940-733aa7a5f1b3', NULL, 'user', 0, '[{"type":"text","text":"Where shall I go?"}]', '2026-11-28 23:09:40.033629+00');
INSERT INTO public.messages VALUES ('01a2246b-e34f-73e2-8309-f4186e6d35d2', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e341-7094-8940-733b913da14a', 'assistant', 1, '[{"type":"thinking","thinking":"The sea, perhaps.","signature":"c2lnbmVk"},{"type":"text","text":"Lisbon is lovely 👋"}]', '2026-11-28 23:09:40.047762+00');
INSERT INTO public.messages VALUES ('01a2246b-eb67-763b-beb1-fc9f7260b152', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4186e6d35d2', 'user', 2, '[{"type":"text","text":"And in winter?"}]', '2026-11-28 23:09:42.119095+00');
INSERT INTO public.messages VALUES ('01a2246b-eb83-70f7-ba41-5b981614d78a', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-eb67-763b-beb1-fc9f7260b152', 'assistant', 3, '[{"type":"text","text":"Then the","partial":true}]', '2026-11-28 23:09:42.147378+00');
INSERT INTO public.messages VALUES ('01a2246b-ed3f-7199-95e3-5e30218f8211', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-e34f-73e2-8309-f4186e6d35d2', 'user', 2, '[{"type":"text","text":"And in summer?"}]', '2026-11-28 23:09:42.591706+00');
INSERT INTO public.messages VALUES ('01a2246b-ed47-7343-bb21-dc7c70ab456b', '01a2246b-e341-7094-8940-733aa7a5f1b3', '01a2246b-ed3f-7199-95e3-5e30218f8211', 'assistant', 3, '[{"type":"text","text":"Porto has a breeze"}]', '2026-11-28 23:09:42.6+00');
INSERT INTO public.messages VALUES ('01a2246b-ee73-7103-815e-81b8b9d21fd7', '01a2246b-ee73-7103-815e-81b7d9ba5a60', NULL, 'user', 0, '[{"type":"text","text":"What is wrong?"}]', '2026-11-28 23:09:42.899472+00');
INSERT INTO public.messages VALUES ('01a2246b-ee74-778e-9286-0ef0b61ff5ba', '01a2246b-ee73-7103-815e-81b7d9ba5a60', '01a2246b-ee73-7103-815e-81b8b9d21fd7', 'assistant', 1, '[]', '2026-11-28 23:09:42.900055+00');
INSERT INTO public.messages VALUES ('01a2246b-f1be-7477-97ee-964c2a4725d3', '01a2246b-f1ab-73d5-867a-3d0056ef0853', NULL, 'user', 0, '[{"type":"document","source":{"type":"attachment","attachment_id":"01a2246b-f03b-7074-9e54-cfa2688b24ce","media_type":"application/pdf","pages":1},"title":"report.pdf","citations":{"enabled":true}},{"type":"text","text":"What does it say?"}]', '2026-11-28 23:09:43.742303+00');
INSERT INTO public.messages VALUES ('01a2246b-f1c3-763c-b667-4b522645cb04', '01a2246b-f1ab-73d5-867a-3d0056ef0853', '01a2246b-f1be-7477-97ee-964c2a4725d3', 'assistant', 1, '[{"type":"text","text":"It says that sales rose."}]', '2026-11-28 23:09:43.747229+00');
INSERT INTO public.messages VALUES ('01a2246b-f694-72a2-82e2-163f4d44cee8', '01a2246b-f694-72a2-82e2-163eeec57854', NULL, 'user', 0, '[{"type":"text","text":"Ask number0"}]', '2026-11-28 23:09:44.980419+00');
INSERT INTO public.messages VALUES ('01a2246b-f6a2-70bc-9048-38410100c189', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f694-72a2-82e2-163f4d44cee8', 'assistant', 1, '[{"type":"text","text":"Answer number0 of v1.2.3"}]', '2026-11-28 23:09:44.994596+00');
INSERT INTO public.messages VALUES ('01a2246b-f7db-741d-8b27-aa8511bffab3', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f6a2-70bc-9048-38410100c189', 'user', 2, '[{"type":"text","text":"Ask number1"}]', '2026-11-28 23:09:45.307629+00');
INSERT INTO public.messages VALUES ('01a2246b-f7e3-747e-bfcb-0c0d36ff2d4e', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7db-741d-8b27-aa8511bffab3', 'assistant', 3, '[{"type":"text","text":"Answer number1 of v1.2.3"}]', '2026-11-28 23:09:45.31532+00');
INSERT INTO public.messages VALUES ('01a2246b-f8e2-7789-bfae-ef2b8d462bd3', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f7e3-747e-bfcb-0c0d36ff2d4e', 'user', 4, '[{"type":"text","text":"Ask number2"}]', '2026-11-28 23:09:45.570212+00');
INSERT INTO public.messages VALUES ('01a2246b-f8ee-725e-8c70-63885af4ed09', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8e2-7789-bfae-ef2b8d462bd3', 'assistant', 5, '[{"type":"text","text":"Answer number2 of v1.2.3"}]', '2026-11-28 23:09:45.582118+00');
INSERT INTO public.messages VALUES ('01a2246b-f9d5-73b7-8da4-c33f3363aa98', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f8ee-725e-8c70-63885af4ed09', 'user', 6, '[{"type":"text","text":"Ask number3"}]', '2026-11-28 23:09:45.813225+00');
INSERT INTO public.messages VALUES ('01a2246b-f9e3-71ef-b85e-d21d9f033cfd', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9d5-73b7-8da4-c33f3363aa98', 'assistant', 7, '[{"type":"text","text":"Answer number3 of v1.2.3"}]', '2026-11-28 23:09:45.827297+00');
INSERT INTO public.messages VALUES ('01a2246b-fb54-7349-abc1-af451fbe5557', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-f9e3-71ef-b85e-d21d9f033cfd', 'user', 8, '[{"type":"text","text":"Ask number4"}]', '2026-11-28 23:09:46.196869+00');
INSERT INTO public.messages VALUES ('01a2246b-fb64-7187-9d82-10723d2c94ee', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb54-7349-abc1-af451fbe5557', 'assistant', 9, '[{"type":"text","text":"Answer number4 of v1.2.3"}]', '2026-11-28 23:09:46.212871+00');
INSERT INTO public.messages VALUES ('01a2246b-fcff-71b8-b1f0-a61df0dac0b0', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fb64-7187-9d82-10723d2c94ee', 'user', 10, '[{"type":"text","text":"Ask number5"}]', '2026-11-28 23:09:46.62391+00');
INSERT INTO public.messages VALUES ('01a2246b-fd08-7154-a731-2975de4ccf52', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fcff-71b8-b1f0-a61df0dac0b0', 'assistant', 11, '[{"type":"text","text":"Answer number5 of v1.2.3"}]', '2026-11-28 23:09:46.632793+00');
INSERT INTO public.messages VALUES ('01a2246b-fe58-762d-bbb6-7aac589fbacc', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fd08-7154-a731-2975de4ccf52', 'user', 12, '[{"type":"text","text":"Ask number6"}]', '2026-11-28 23:09:46.968581+00');
INSERT INTO public.messages VALUES ('01a2246b-fe64-75c9-987d-56e4ccdd7c15', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe58-762d-bbb6-7aac589fbacc', 'assistant', 13, '[{"type":"text","text":"Answer number6 of v1.2.3"}]', '2026-11-28 23:09:46.980099+00');
INSERT INTO public.messages VALUES ('01a2246b-ffb8-76cb-a5ff-87e8f0e98d20', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-fe64-75c9-987d-56e4ccdd7c15', 'user', 14, '[{"type":"text","text":"Ask number7"}]', '2026-11-28 23:09:47.320072+00');
INSERT INTO public.messages VALUES ('01a2246b-ffc0-7023-bed0-2354e9e91241', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffb8-76cb-a5ff-87e8f0e98d20', 'assistant', 15, '[{"type":"text","text":"Answer number7 of v1.2.3"}]', '2026-11-28 23:09:47.328237+00');
INSERT INTO public.messages VALUES ('01a2246c-00c7-75e1-82db-c06e6187949d', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246b-ffc0-7023-bed0-2354e9e91241', 'user', 16, '[{"type":"text","text":"Ask number8"}]', '2026-11-28 23:09:47.591958+00');
INSERT INTO public.messages VALUES ('01a2246c-00cc-738f-b54f-ce7d04a26120', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00c7-75e1-82db-c06e6187949d', 'assistant', 17, '[{"type":"text","text":"Answer number8 of v1.2.3"}]', '2026-11-28 23:09:47.596746+00');
INSERT INTO public.messages VALUES ('01a2246c-0203-70a4-b9a2-c317e67f28e7', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-00cc-738f-b54f-ce7d04a26120', 'user', 18, '[{"type":"text","text":"Ask number9"}]', '2026-11-28 23:09:47.908006+00');
INSERT INTO public.messages VALUES ('01a2246c-0243-7186-b27d-dc7257e6449e', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0203-70a4-b9a2-c317e67f28e7', 'assistant', 19, '[{"type":"text","text":"Answer number9 of v1.2.3"}]', '2026-11-28 23:09:47.971326+00');
INSERT INTO public.messages VALUES ('01a2246c-03b1-73aa-9876-9e417979f41f', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0243-7186-b27d-dc7257e6449e', 'user', 20, '[{"type":"text","text":"Ask number10"}]', '2026-11-28 23:09:48.337651+00');
INSERT INTO public.messages VALUES ('01a2246c-03c0-770d-af2c-8dab4f4d8961', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03b1-73aa-9876-9e417979f41f', 'assistant', 21, '[{"type":"text","text":"Answer number10 of v1.2.3"}]', '2026-11-28 23:09:48.352227+00');
INSERT INTO public.messages VALUES ('01a2246c-0811-706e-8356-55de7ff8b332', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-03c0-770d-af2c-8dab4f4d8961', 'user', 22, '[{"type":"text","text":"Ask number11"}]', '2026-11-28 23:09:49.457578+00');
INSERT INTO public.messages VALUES ('01a2246c-081b-748f-b13f-aebaf4b9b776', '01a2246b-f694-72a2-82e2-163eeec57854', '01a2246c-0811-706e-8356-55de7ff8b332', 'assistant', 23, '[{"type":"text","text":"Answer number11 of v1.2.3"}]', '2026-11-28 23:09:49.467592+00');
INSERT INTO public.messages VALUES ('01a2246c-09be-746d-a7c7-3143562ae889', '01a2246c-09be-746d-a7c7-31422a6c22d6', NULL, 'user', 0, '[{"type":"text","text":"Read it"}]', '2026-11-28 23:09:49.886706+00');
INSERT INTO public.messages VALUES ('01a2246c-09bf-7525-b6fb-fde3c64db04a', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09be-746d-a7c7-3143562ae889', 'assistant', 1, '[{"type":"tool_use","id":"toolu_4d7f55485a8643b689fd860b3328bb49","name":"read_page","input":{}}]', '2026-11-28 23:09:49.887247+00');
INSERT INTO public.messages VALUES ('01a2246c-0b67-7504-baf2-01b270f70d4d', '01a2246c-0b67-7504-baf2-01b113b6d38d', NULL, 'user', 0, '[{"type":"text","text":"Tell me all"}]', '2026-11-28 23:09:50.311668+00');
INSERT INTO public.messages VALUES ('01a2246c-0c0f-7507-8b81-48930a3e7c15', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0b68-733f-88c5-29eaf5eed7c5', 'user', 2, '[{"type":"text","text":"And then?"}]', '2026-11-28 23:09:50.479454+00');
INSERT INTO public.messages VALUES ('01a2246c-0c17-7784-97b7-b15436121efb', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0c0f-7507-8b81-48930a3e7c15', 'assistant', 3, '[]', '2026-11-28 23:09:50.487965+00');
INSERT INTO public.messages VALUES ('01a2246c-0b68-733f-88c5-29eaf5eed7c5', '01a2246c-0b67-7504-baf2-01b113b6d38d', '01a2246c-0b67-7504-baf2-01b270f70d4d', 'assistant', 1, '[{"type":"text","text":"Half of it","partial":true}]', '2026-11-28 23:09:50.312323+00');
INSERT INTO public.personal_tokens VALUES ('01a2246b-cf5b-7036-a009-0ddf236a5201', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 'script', 'd424a2e6f866d1a93117fa7a268a5409068d23c8f0a2dae5d037472cc42348b6', NULL, '2026-11-28 23:09:34.939956+00');
INSERT INTO public.sign_ins VALUES ('01a2246b-7fd3-7381-ab66-8544a01cb315', '01a2246b-7faf-70fa-8a4c-19641253c9fe', 0, '2026-12-28 23:09:14.579734+00', NULL, '2026-11-28 23:09:14.580026+00');
INSERT INTO public.tool_calls VALUES ('01a2246c-0a56-726f-b4ad-867435094b30', '01a2246b-7faf-70fa-8a4c-19641253c9fe', '01a2246c-09be-746d-a7c7-31422a6c22d6', '01a2246c-09bf-7525-b6fb-fde47f680189', 'toolu_4d7f55485a8643b689fd860b3328bb49', 'read_page', 'waiting', false, 'null', NULL, '2026-11-28 23:09:50.038161+00', NULL, NULL);
INSERT INTO public.users VALUES ('01a2246b-7faf-70fa-8a4c-19641253c9fe', 'ada', '2026-11-28 23:09:14.543385+00', 44, '$argon2id$v=19$m=65536,t=3,p=4$221NGi/O7gXa6um+E1mlNw$n7N6gua9g8sgJufrPErC0CSP6FV3Oey1AK4fOWH721Q', NULL, NULL);
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
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (id);
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
CREATE INDEX message_words_by_word ON public.message_words USING gin (words);
CREATE INDEX messages_by_conversation ON public.messages USING btree (conversation_id, id);
CREATE INDEX messages_by_parent ON public.messages USING btree (parent_id, id);
CREATE INDEX personal_tokens_by_owner ON public.personal_tokens USING btree (owner_id);
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
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.tool_calls
    ADD CONSTRAINT tool_calls_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;

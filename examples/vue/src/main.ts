import urql from "@urql/vue";
import { createApp } from "vue";
import { client } from "./client";
import Conversation from "./Conversation.vue";
import "./style.css";

createApp(Conversation).use(urql, client).mount("#app");
